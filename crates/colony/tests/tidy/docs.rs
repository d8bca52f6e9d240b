//! Rules that hold documents to what they speak of.

use std::path::{Component, Path};
use std::process::{Command, Stdio};

/// What the README tells a newcomer to run.
const FIRST_COMMAND: &str = "cargo run --release -- up examples/marketplace";
/// What the README tells a contributor to run, and what CI runs.
const TEST_COMMAND: &str = "cargo test --workspace";
/// Endings that make a word in backticks the name of a file.
const FILE_ENDINGS: [&str; 7] = [".rs", ".md", ".toml", ".yaml", ".json", ".lock", ".svg"];
/// Folders at the root; a word in backticks that begins with one is a path.
const FOLDERS: [&str; 5] = [".ci/", "bench/", "crates/", "docs/", "examples/"];

/// Every path named in backticks is there.
pub fn paths(path: &str, text: &str, has: impl Fn(&str) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in prose(text) {
        for word in line.split('`').skip(1).step_by(2).filter(|word| is_path(word)) {
            if !has(word.trim_end_matches('/')) {
                complaints.push(format!(
                    "{path}:{number}: there is no `{word}`; name paths from the repository's root, and mend the text \
                     when you move a file"
                ));
            }
        }
    }
    complaints
}

/// The code map leaves no crate out.
pub fn mapped(map: &str, crates: &[String]) -> Vec<String> {
    let unmapped = crates.iter().filter(|name| !map.contains(&format!("`crates/{name}")));
    unmapped.map(|name| format!("ARCHITECTURE.md: say what `crates/{name}` is for")).collect()
}

fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let like = FOLDERS.iter().any(|folder| word.starts_with(folder))
        || (FILE_ENDINGS.iter().any(|ending| word.ends_with(ending)) && word.contains('/'));
    like && word.chars().all(plain)
}

/// Links between our documents lead to a file, and to a heading in it where they name one. `open`
/// gives the text of a document, or an empty one for a file that has no headings.
pub fn links(path: &str, text: &str, open: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in prose(text) {
        for link in targets(line) {
            let outside = link.contains("://") || link.starts_with("mailto:") || link.starts_with("//");
            if outside {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let resolved = if file.is_empty() { Some(path.to_owned()) } else { beside(path, file) };
            let found = match &resolved {
                Some(own) if own == path => Some(text.to_owned()),
                Some(other) => open(other),
                None => None,
            };
            match found {
                None => complaints.push(format!("{path}:{number}: `{link}` leads nowhere; mend the link")),
                Some(there) if !heading.is_empty() && !headings(&there).contains(&heading.to_owned()) => {
                    complaints
                        .push(format!("{path}:{number}: `{link}`: there is no such heading; mend the link"));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

/// Targets of `[text](target)`, `src="target"` and `href="target"`.
fn targets(line: &str) -> Vec<&str> {
    let mut all = Vec::new();
    for (opening, closing) in [("](", [')', ' ']), ("src=\"", ['"', '"']), ("href=\"", ['"', '"'])] {
        for (at, _) in line.match_indices(opening) {
            let rest = &line[at + opening.len()..];
            if let Some(end) = rest.find(closing) {
                all.push(&rest[..end]);
            }
        }
    }
    all
}

/// The path of `link` as seen from `path`; None if it leaves the repository.
fn beside(path: &str, link: &str) -> Option<String> {
    let joined = Path::new(path).parent()?.join(link);
    let mut parts: Vec<String> = Vec::new();
    for component in joined.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The names by which headings are linked to, as GitHub makes them.
fn headings(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let level = line.chars().take_while(|c| *c == '#').count();
        if level == 0 || !line[level..].starts_with(' ') {
            continue;
        }
        let kept = line[level..].trim().to_lowercase();
        let name: String = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let earlier = all.iter().filter(|one| **one == name).count();
        all.push(if earlier == 0 { name } else { format!("{name}-{earlier}") });
    }
    all
}

/// Every kind of problem has its name in the code and its heading in the document, and no other has.
pub fn problems(code: &str, document: &str) -> Vec<String> {
    let kinds = kinds(code);
    let mut complaints = Vec::new();
    if kinds.is_empty() {
        complaints.push(
            "crates/mesh/src/request/problem.rs: no `enum Kind` found; mend the rule with it".to_owned(),
        );
    }
    for kind in &kinds {
        if !code.contains(&format!("\"{kind}\"")) {
            complaints.push(format!(
                "crates/mesh/src/request/problem.rs: name the kind `{kind}`, as its variant is called"
            ));
        }
        if !document.contains(&format!("`{kind}`")) {
            complaints
                .push(format!("docs/problems.md: explain `{kind}`: when it is answered and what to do"));
        }
    }
    let explained = document.match_indices("urn:colony:problem:").map(|(at, prefix)| {
        let rest = &document[at + prefix.len()..];
        rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or("")
    });
    let gone = explained.filter(|name| !name.is_empty() && !kinds.iter().any(|kind| kind == name));
    complaints.extend(gone.map(|name| format!("docs/problems.md: there is no `{name}` (any more)")));
    complaints
}

/// The variants of `enum Kind`, in kebab case.
fn kinds(code: &str) -> Vec<String> {
    let body = code
        .split_once("enum Kind {")
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or("", |(body, _)| body);
    let variants =
        body.lines().map(str::trim).filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    variants.map(|line| kebab(line.trim_end_matches(','))).collect()
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// What `colony WORDS --help` prints.
pub fn help(words: &[&str]) -> String {
    let mut colony = Command::new(env!("CARGO_BIN_EXE_colony"));
    let output = colony.args(words).arg("--help").stdin(Stdio::null()).output().expect("colony runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The commands that a help text lists.
pub fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // A description may run on in a line that is indented further.
    let first = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = first.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

pub fn explained(commands: &[String], document: &str) -> Vec<String> {
    let missing = commands.iter().filter(|command| !document.contains(&format!("colony {command}")));
    missing.map(|command| format!("docs/commands.md: explain `colony {command}`")).collect()
}

/// Every option of a command is explained, by its long name or its short one.
pub fn options(command: &str, help: &str, document: &str) -> Vec<String> {
    let words: Vec<&str> = document.split(|c: char| c.is_whitespace() || "`,()|=".contains(c)).collect();
    let mut complaints = Vec::new();
    for line in help.lines().map(str::trim).filter(|line| line.starts_with('-')) {
        let names: Vec<&str> = line.split([' ', ',', '=']).filter(|word| word.starts_with('-')).collect();
        let standard = names.iter().any(|name| ["--help", "--version"].contains(name));
        if !standard && !names.iter().any(|name| words.contains(name)) {
            complaints
                .push(format!("docs/commands.md: explain `{}` of `colony {command}`", names.join(", ")));
        }
    }
    complaints
}

/// The README has the two commands, and CI runs the same tests as people do.
pub fn beginning(readme: &str, ci: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for command in [FIRST_COMMAND, TEST_COMMAND] {
        if !readme.contains(command) {
            complaints.push(format!("README.md: show the command `{command}`"));
        }
    }
    if !ci.contains(TEST_COMMAND) {
        complaints.push(format!(".ci/run: run `{TEST_COMMAND}`, as the README says"));
    }
    complaints
}

/// Lines outside of code blocks, numbered.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((index + 1, line));
        }
    }
    lines
}

mod tests {
    //! What the rules above must complain about, and what they must let pass.

    use super::*;

    #[test]
    fn paths_that_are_not_there() {
        let has = |path: &str| ["crates/mesh", "docs/a.md"].contains(&path);
        assert!(
            paths("A.md", "`crates/mesh/` and `docs/a.md`, `application/json`, `a -> b`", has).is_empty()
        );
        assert_eq!(paths("A.md", "see `crates/gone/src/lib.rs` and `docs/a.md`", has).len(), 1);
        assert_eq!(paths("A.md", "`elsewhere/file.rs`", has).len(), 1);
        assert_eq!(mapped("`crates/mesh`", &["mesh".to_owned(), "new".to_owned()]).len(), 1);
    }

    #[test]
    fn links_that_lead_nowhere() {
        let open =
            |path: &str| (path == "docs/b.md").then(|| "# One\n## Two `three`, four\n## One\n".to_owned());
        let good = "[b](b.md) [b](b.md#two-three-four) [b](../docs/b.md#one-1) [self](#here) [x](https://x.example)\n# Here\n";
        assert_eq!(links("docs/a.md", good, open), Vec::<String>::new());
        for bad in [
            "[x](c.md)",
            "[x](b.md#three)",
            "[x](#gone)",
            "[x](../../b.md)",
            "<img src=\"x.svg\">",
            "[x](/b.md)",
        ] {
            assert_eq!(links("docs/a.md", bad, open).len(), 1, "{bad}");
        }
        assert!(links("docs/a.md", "```\n[x](c.md)\n```\n", open).is_empty());
    }

    #[test]
    fn problems_without_a_page_and_pages_without_a_problem() {
        let code = "enum Kind {\n    NoRoute,\n    Timeout,\n}\n\"no-route\" \"timeout\"";
        assert!(problems(code, "`no-route`, `urn:colony:problem:timeout`, `timeout`").is_empty());
        assert_eq!(problems(code, "`no-route`").len(), 1);
        assert_eq!(problems(code, "`no-route` `timeout` urn:colony:problem:gone").len(), 1);
        assert_eq!(problems("enum Kind {\n    NoRoute,\n}\n\"other\"", "`no-route`").len(), 1);
        assert_eq!(problems("", "").len(), 1);
    }

    #[test]
    fn commands_and_options_without_a_word() {
        let help = "Usage: x\n\nCommands:\n  up      Start it\n          and more\n  status  Look\n  help    Print\n\nOptions:\n  -f, --follow  Go on\n";
        assert_eq!(commands(help), ["up", "status"]);
        assert_eq!(explained(&commands(help), "`colony up` only").len(), 1);
        assert_eq!(options("logs", help, "--lines, --followed, -ff").len(), 1);
        assert!(options("logs", help, "with `-f` it goes on").is_empty());
        assert!(options("logs", help, "`colony logs --follow`").is_empty());
    }

    #[test]
    fn a_readme_without_its_commands() {
        let readme = format!("```sh\n{FIRST_COMMAND}\n{TEST_COMMAND}\n```\n");
        assert!(beginning(&readme, TEST_COMMAND).is_empty());
        assert_eq!(beginning("cargo run", TEST_COMMAND).len(), 2);
        assert_eq!(beginning(&readme, "cargo nextest run").len(), 1);
    }
}
