//! The house rules, as tests: what a reviewer would otherwise have to say again and again.
//!
//! A rule is a function from text to complaints, each of which says what to do. Beside every rule
//! stand samples that it must complain about, for a rule that cannot fail guards nothing.

mod arrows;
mod docs;
mod source;
mod tree;

use tree::Tree;

/// Fails with all complaints at once.
fn settle(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

fn each(files: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) {
    settle(files.iter().flat_map(|(path, text)| rule(path, text)).collect());
}

#[test]
fn every_source_file_says_why_it_exists() {
    each(&Tree::open().with_endings(&[".rs"]), source::opening);
}

#[test]
fn a_source_file_can_be_held_in_the_head() {
    each(&Tree::open().with_endings(&[".rs"]), source::length);
}

#[test]
fn nothing_is_left_for_later() {
    each(&Tree::open().with_endings(&[".rs"]), source::marks);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    each(&Tree::open().texts(), source::places);
}

#[test]
fn packages_come_from_the_public_index() {
    let tree = Tree::open();
    settle(source::lock("Cargo.lock", &tree.text("Cargo.lock")));
}

#[test]
fn dependencies_point_down() {
    let tree = Tree::open();
    let crates = tree.folders("crates");
    settle(arrows::known(&crates));
    for name in crates {
        settle(arrows::check(&name, &tree.text(&format!("crates/{name}/Cargo.toml"))));
    }
    settle(arrows::outsider("examples/marketplace", &tree.text("examples/marketplace/Cargo.toml")));
    settle(arrows::outsider("bench", &tree.text("bench/Cargo.toml")));
}

#[test]
fn pure_crates_share_their_bans() {
    let tree = Tree::open();
    for name in arrows::PURE {
        let bans = tree.text(&format!("crates/{name}/clippy.toml"));
        settle(arrows::bans(name, &bans));
        let first = tree.text(&format!("crates/{}/clippy.toml", arrows::PURE[0]));
        assert_eq!(
            bans, first,
            "what is impure for one is for the other: copy the newer clippy.toml over the older"
        );
    }
}

#[test]
fn bans_name_their_replacement() {
    let files = Tree::open().with_endings(&["clippy.toml"]);
    assert!(files.len() > arrows::PURE.len(), "there is a clippy.toml at the root, too");
    each(&files, arrows::replacements);
}

#[test]
fn the_code_map_names_what_is_there() {
    let tree = Tree::open();
    let map = tree.text("ARCHITECTURE.md");
    settle(docs::paths("ARCHITECTURE.md", &map, |path| tree.has(path)));
    settle(docs::mapped(&map, &tree.folders("crates")));
    settle(docs::paths("CONTRIBUTING.md", &tree.text("CONTRIBUTING.md"), |path| tree.has(path)));
}

#[test]
fn links_lead_somewhere() {
    let tree = Tree::open();
    each(&tree.with_endings(&[".md"]), |path, text| {
        docs::links(path, text, |target| match target.ends_with(".md") {
            true => tree.has(target).then(|| tree.text(target)),
            false => tree.has(target).then(String::new),
        })
    });
}

#[test]
fn every_problem_is_explained() {
    let tree = Tree::open();
    let code = tree.text("crates/mesh/src/request/problem.rs");
    settle(docs::problems(&code, &tree.text("docs/problems.md")));
}

#[test]
fn every_command_is_explained() {
    let text = Tree::open().text("docs/commands.md");
    let commands = docs::commands(&docs::help(&[]));
    assert!(commands.len() > 5, "`colony --help` lists its commands under `Commands:`, found {commands:?}");
    settle(docs::explained(&commands, &text));
    for command in commands {
        settle(docs::options(&command, &docs::help(&[&command]), &text));
    }
}

#[test]
fn two_commands_are_enough_to_begin() {
    let tree = Tree::open();
    settle(docs::beginning(&tree.text("README.md"), &tree.text(".ci/run")));
}
