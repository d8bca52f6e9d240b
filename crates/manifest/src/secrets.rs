//! Which values are secret, and how text is kept free of them.

use std::collections::BTreeSet;

/// Parts of a variable's name that make its value secret.
const TELLING: [&str; 7] =
    ["PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY", "CREDENTIAL"];

/// Knows the names of secret variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask {
    /// Names listed under `secrets`.
    pub listed: BTreeSet<String>,
}

impl Mask {
    /// Whether a variable's value is secret, by its name.
    pub fn is_secret(&self, name: &str) -> bool {
        let upper = name.to_ascii_uppercase();
        TELLING.iter().any(|part| upper.contains(part)) || self.listed.contains(name)
    }

    /// The text with the defaults of secret variables (`${TOKEN:abc}`) overwritten by asterisks,
    /// byte for byte and line by line, so that all spans still hold.
    pub fn source(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for (start, _) in text.match_indices("${") {
            let inside = &text[start + 2..];
            let end = inside.find('}').unwrap_or(inside.len());
            let Some((name, default)) = inside[..end].split_once(':') else { continue };
            if self.is_secret(name) {
                let from = start + 2 + name.len() + 1;
                let masked = bytes[from..from + default.len()].iter_mut();
                masked.filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    }
}
