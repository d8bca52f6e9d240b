//! Rules for files one by one: how they begin, how long they are, what must not stand in them.

/// Most lines in a source file.
const LINES_MAX: usize = 800;
/// Fewest words in an opening that says something.
const OPENING_WORDS_MIN: usize = 3;
/// Where packages come from.
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Marks of work that was put off. Spelled in two halves, so that this file has none of them.
const MARKS: [&str; 4] =
    [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("#[ig", "nore")];
/// How the folders of one person or one machine begin.
const PLACES: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/mn", "t/"),
];
/// Stands for the reader's own folder in examples.
const READERS: &str = concat!("/ho", "me/you/");
/// Hosts that package managers know by themselves.
const HOSTS: [&str; 7] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("deb.", "debian.org"),
    concat!("archive.", "ubuntu.com"),
];

/// A file opens with `//!`: why it exists.
pub fn opening(path: &str, text: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or("");
    let words = first.strip_prefix("//! ").map_or(0, |said| said.split_whitespace().count());
    match words < OPENING_WORDS_MIN {
        true => vec![format!("{path}: open the file with a line of `//!` that says why it exists")],
        false => Vec::new(),
    }
}

pub fn length(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    match lines > LINES_MAX {
        true => {
            vec![format!("{path}: {lines} lines; split it where its parts meet, {LINES_MAX} are the most")]
        }
        false => Vec::new(),
    }
}

pub fn marks(path: &str, text: &str) -> Vec<String> {
    found(path, text, &MARKS, "do it now, or leave it out and say so in the documentation")
}

pub fn places(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in numbered(text) {
        for place in PLACES.iter().filter(|place| begins_path(line, place)) {
            complaints.push(format!(
                "{path}:{number}: `{place}` is a folder of one machine; write a path from the repository's root, \
                 {READERS} or /srv"
            ));
        }
    }
    complaints.extend(found(path, text, &HOSTS, "leave the choice of a registry to the package manager"));
    complaints
}

/// Whether a path in this line begins with `place`. Inside of a path it is an ordinary folder's name.
fn begins_path(line: &str, place: &str) -> bool {
    let inside = |before: char| before.is_ascii_alphanumeric() || "._-}*".contains(before);
    line.match_indices(place).any(|(at, _)| !line[at..].starts_with(READERS) && !line[..at].ends_with(inside))
}

/// Every package of the lock file comes from the public index: no mirror, no branch of somebody's.
pub fn lock(path: &str, text: &str) -> Vec<String> {
    let sources = numbered(text).filter_map(|(number, line)| Some((number, line.strip_prefix("source = ")?)));
    sources
        .filter(|(_, source)| source.trim_matches('"') != INDEX)
        .map(|(number, source)| {
            format!("{path}:{number}: {source}: use a release from the public index, then `cargo update`")
        })
        .collect()
}

fn found(path: &str, text: &str, words: &[&str], advice: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in numbered(text) {
        for word in words.iter().filter(|word| line.contains(**word)) {
            complaints.push(format!("{path}:{number}: `{word}`: {advice}"));
        }
    }
    complaints
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

mod tests {
    //! What the rules above must complain about, and what they must let pass.

    use super::*;

    #[test]
    fn openings() {
        assert_eq!(opening("a.rs", "//! Why it is there.\n").len(), 0);
        for bad in ["", "use std::fs;\n", "\n//! Too late to say.\n", "//! x\n", "// Not a doc comment.\n"] {
            assert_eq!(opening("a.rs", bad).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn lengths() {
        assert!(length("a.rs", &"x\n".repeat(LINES_MAX)).is_empty());
        assert_eq!(length("a.rs", &"x\n".repeat(LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn work_put_off() {
        for mark in MARKS {
            assert_eq!(marks("a.rs", &format!("fn f() {{\n  {mark}\n}}")).len(), 1, "{mark}");
        }
        assert!(marks("a.rs", "method!()").is_empty());
    }

    #[test]
    fn foreign_places() {
        for place in PLACES {
            assert_eq!(places("a.md", &format!("see `{place}somebody/x`")).len(), 1, "{place}");
            assert_eq!(places("a.md", &format!("{READERS}x {place}somebody/x")).len(), 1, "{place}");
            assert!(
                places("a.md", &format!("docs{place}x and https://example.org{place}x")).is_empty(),
                "{place}"
            );
        }
        for host in HOSTS {
            assert_eq!(places("a.md", &format!("index-url = https://{host}/simple")).len(), 1, "{host}");
        }
    }

    #[test]
    fn foreign_packages() {
        assert!(lock("Cargo.lock", &format!("source = \"{INDEX}\"\n")).is_empty());
        for bad in ["registry+https://mirror.example/index", "git+https://example.org/fork?branch=x#1"] {
            assert_eq!(lock("Cargo.lock", &format!("name = \"x\"\nsource = \"{bad}\"\n")).len(), 1);
        }
    }
}
