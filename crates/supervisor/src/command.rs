//! From a command line to what is executed. Pure but for the look at the file system in [`resolve`].
//!
//! A line without shell syntax is split into words and executed directly, so that the process that gets
//! signals is the program itself and not a shell around it. Anything else goes to `/bin/sh -c` as it is.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How a command line is executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    Words(Vec<String>),
    Shell(String),
}

/// Splits a line, or leaves it to the shell.
pub(crate) fn parse(line: &str) -> Line {
    match split(line) {
        Some(words) if words.first().is_some_and(|first| is_program(first)) => Line::Words(words),
        _ => Line::Shell(line.to_owned()),
    }
}

/// The words of a line; `None` when it needs a shell.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => quoted(&mut chars, '\'', "", word.get_or_insert_default())?,
            '"' => quoted(&mut chars, '"', "$`\\", word.get_or_insert_default())?,
            '~' | '#' if word.is_none() => return None,
            c if SHELL_SYNTAX.contains(c) => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, end: char, syntax: &str, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            c if c == end => return Some(()),
            c if syntax.contains(c) => return None,
            c => word.push(c),
        }
    }
}

/// Not an assignment, and not a word that only a shell understands.
fn is_program(word: &str) -> bool {
    !word.is_empty() && !word.contains('=') && !SHELL_WORDS.contains(&word)
}

/// Finds the program of a word: relative to `dir` when it has a `/`, otherwise in `path` (as in `$PATH`).
/// Errors are sentences for the person who wrote the line, who knows `dir` as `shown`.
pub(crate) fn resolve(word: &str, dir: &Path, shown: &str, path: &str) -> Result<PathBuf, String> {
    if !dir.is_dir() {
        return Err(format!("the folder `{shown}` does not exist"));
    }
    if word.contains('/') {
        let file = dir.join(word);
        return match executable(&file) {
            Ok(()) => Ok(file),
            Err(what) => Err(format!("`{word}` {what} (in `{shown}`)")),
        };
    }
    let candidates =
        path.split(':').filter(|folder| !folder.is_empty()).map(|folder| dir.join(folder).join(word));
    candidates.into_iter().find(|file| executable(file).is_ok()).ok_or_else(|| {
        let here =
            if dir.join(word).is_file() { format!("; did you mean `./{word}`?") } else { String::new() };
        format!("there is no program `{word}` in PATH (working in `{shown}`){here}")
    })
}

fn executable(file: &Path) -> Result<(), &'static str> {
    match file.metadata() {
        Err(_) => Err("does not exist; is it built? `build:` names the command that does"),
        Ok(found) if found.is_dir() => Err("is a folder"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Err("is not executable; try chmod +x"),
        Ok(_) => Ok(()),
    }
}

/// What means something to a shell outside quotes.
const SHELL_SYNTAX: &str = "|&;<>()$`\\*?[]{}!\n\r";
/// Reserved words and built-in commands that are no programs, or mean something else as one.
const SHELL_WORDS: &[&str] = &[
    ".", ":", "alias", "case", "cd", "command", "eval", "exec", "export", "for", "if", "read", "set",
    "source", "time", "trap", "type", "ulimit", "umask", "unset", "until", "wait", "while",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        match parse(line) {
            Line::Words(words) => words,
            Line::Shell(line) => panic!("`{line}` went to the shell"),
        }
    }

    #[test]
    fn plain_lines_are_split() {
        assert_eq!(words("./marketplace catalog"), ["./marketplace", "catalog"]);
        assert_eq!(words("  node  server.js\t--port=1 "), ["node", "server.js", "--port=1"]);
        assert_eq!(words("a 'b c' \"d e\"f '' #"[..17].trim()), ["a", "b c", "d ef", ""]);
        assert_eq!(words("a x#y ~b"[..5].trim()), ["a", "x#y"]);
    }

    #[test]
    fn shell_syntax_goes_to_the_shell() {
        let lines = [
            "a && b", "a | b", "a > f", "a $HOME", "a \"$X\"", "X=1 a", "cd b", "exec a", "a *", "a 'b",
            "a # b", "a ~/b", "a\nb", "(a)", "! a", "",
        ];
        for line in lines {
            assert_eq!(parse(line), Line::Shell(line.to_owned()));
        }
    }

    #[test]
    fn programs_are_found_and_missing_ones_named() {
        let root = Path::new("/");
        assert_eq!(resolve("bin/sh", root, "/", ""), Ok(PathBuf::from("/bin/sh")));
        assert!(resolve("sh", root, "/", "/nowhere:/bin").is_ok());
        let missing = resolve("./marketplace", root, "/", "").unwrap_err();
        assert!(missing.contains("`./marketplace` does not exist") && missing.contains("build"), "{missing}");
        assert!(resolve("no-such-program", root, "/", "/bin").unwrap_err().contains("PATH"));
        assert!(resolve("sh", Path::new("/no/such"), "such", "/bin").unwrap_err().contains("folder"));
    }
}
