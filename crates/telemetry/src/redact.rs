//! Keeps secrets out of what people see. A program may print its own password: what a system shows
//! of it goes through here first.

use std::borrow::Cow;
use std::ops::Range;

/// Knows the secret values and takes them out of any text.
///
/// Redact a line before it is cut to a length: half a secret isn't recognised.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
}

/// What stands in a secret's place.
pub const MARK: &str = "[secret]";

/// A shorter value isn't taken out: `on` or `1` would take half the text with it and tell by the
/// holes what it is.
pub const SECRET_CHARS_MIN: usize = 4;

impl Redactor {
    /// Takes out these values. Logs come line by line, so each line of a value of several lines
    /// (a private key) counts as a secret, too.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Redactor {
        let mut all: Vec<String> = secrets.into_iter().flat_map(with_its_lines).collect();
        all.retain(|secret| secret.chars().count() >= SECRET_CHARS_MIN);
        all.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        all.dedup();
        Redactor { secrets: all }
    }

    /// Whether it knows no secret.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The text with every secret replaced by [`MARK`]; borrowed where there is none. Secrets that
    /// overlap are taken out as one, so that no end of either remains.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.find(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut shown = 0;
        for secret in found {
            clean.push_str(&text[shown..secret.start]);
            clean.push_str(MARK);
            shown = secret.end;
        }
        clean.push_str(&text[shown..]);
        Cow::Owned(clean)
    }

    /// Where secrets are, in order, those that overlap joined.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut all: Vec<Range<usize>> =
            self.secrets.iter().flat_map(|secret| occurrences(text, secret)).collect();
        all.sort_unstable_by_key(|range| range.start);
        all.dedup_by(|next, kept| {
            let overlap = next.start < kept.end;
            if overlap {
                kept.end = kept.end.max(next.end);
            }
            overlap
        });
        all
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

fn with_its_lines(secret: String) -> Vec<String> {
    let mut all: Vec<String> = secret.lines().map(|line| line.trim().to_owned()).collect();
    all.push(secret);
    all
}

/// Every place of `secret` in `text`, also those that overlap.
fn occurrences(text: &str, secret: &str) -> impl Iterator<Item = Range<usize>> {
    let step = secret.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(secret)?;
        from = start + step;
        Some(start..start + secret.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|secret| secret.to_string()))
    }

    #[test]
    fn a_secret_is_taken_out_wherever_it_is() {
        let redactor = redactor(&["hunter2!"]);
        assert_eq!(redactor.redact("hunter2! and hunter2!hunter2!"), "[secret] and [secret][secret]");
        assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed("nothing here")));
    }

    #[test]
    fn short_values_stay() {
        assert_eq!(redactor(&["", "1", "abc", "ééé"]).redact("1 abc ééé"), "1 abc ééé");
        assert_eq!(redactor(&["éééé"]).redact("1 éééé"), "1 [secret]");
    }

    #[test]
    fn the_longer_one_goes_first() {
        let redactor = redactor(&["pass", "password", "secret"]);
        assert_eq!(redactor.redact("password pass secret"), "[secret] [secret] [secret]");
    }

    #[test]
    fn overlapping_secrets_leave_no_end() {
        assert_eq!(redactor(&["abcd", "cdef"]).redact("xabcdefx"), "x[secret]x");
        assert_eq!(redactor(&["aaaa"]).redact("aaaaaa"), "[secret]");
    }

    #[test]
    fn a_secret_of_several_lines_is_known_by_each() {
        let key = redactor(&["-----BEGIN-----\nMIIEpAIB\n-----END-----\n"]);
        assert_eq!(key.redact("key: MIIEpAIB"), "key: [secret]");
    }

    #[test]
    fn its_debug_form_tells_nothing() {
        assert_eq!(format!("{:?}", redactor(&["hunter2!"])), "Redactor(1 secrets)");
    }

    proptest! {
        #[test]
        fn no_secret_remains(
            secrets in prop::collection::vec("[ab é]{4,7}", 0..5),
            parts in prop::collection::vec("[ab é]{0,9}", 0..8),
        ) {
            let text = parts.join(secrets.first().map_or("", String::as_str));
            let clean = Redactor::new(secrets.clone()).redact(&text).into_owned();
            for piece in clean.split(MARK) {
                prop_assert!(secrets.iter().all(|secret| !piece.contains(secret)), "{:?}", clean);
            }
        }
    }
}
