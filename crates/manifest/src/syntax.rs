//! YAML's own errors in words for people who wrote a manifest, not a parser.

/// The parser's reason in plainer words, where it has one that needs them.
pub(crate) fn words(info: &str) -> &str {
    WORDS.iter().find(|(theirs, _)| info.contains(theirs)).map_or(info, |(_, ours)| ours)
}

/// What a line that YAML refuses was probably meant to be.
pub(crate) fn help(line: &str, info: &str) -> Option<&'static str> {
    let bare = line.trim_start();
    if line[..line.len() - bare.len()].contains('\t') || info.contains("tab") {
        Some("indent with spaces: YAML does not allow tabs")
    } else if line.contains("${") && line.contains('{') && info.contains("flow") {
        Some("inside `{ ... }` a `${NAME}` needs quotes: `\"${NAME}\"`")
    } else if info.contains("mapping values are not allowed") {
        Some(
            "a text with `: ` in it needs quotes; else look at the indentation of this line and the one before",
        )
    } else if info.contains("did not find expected key") || info.contains("did not find expected '-'") {
        Some("keys that belong together begin in the same column")
    } else if info.contains("simple key") {
        Some("a key needs a `:` and a space after it")
    } else if info.contains("flow") {
        Some("look for a missing bracket or comma, here or on the lines before")
    } else if bare.starts_with(['*', '&', '!', '@', '`', '%']) || line.contains(": *") {
        Some("a text that begins with `*`, `&`, `!`, `@`, `%` or a backtick needs quotes")
    } else {
        None
    }
}

/// What the parser says, in part, and what to say instead.
const WORDS: [(&str, &str); 7] = [
    (
        "parsing a flow mapping, did not find expected ',' or '}'",
        "the `{ ... }` that is open here is not closed, or lacks a comma",
    ),
    (
        "parsing a flow sequence, expected ',' or ']'",
        "the `[ ... ]` that is open here is not closed, or lacks a comma",
    ),
    ("did not find expected key", "this line fits in with none above it"),
    ("did not find expected '-'", "this line fits in with none above it"),
    ("mapping values are not allowed", "a second `: ` in one line"),
    ("unknown anchor", "there is no `&` anchor of this name"),
    ("tabs disallowed", "this line is indented with a tab"),
];
