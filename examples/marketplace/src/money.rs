//! Money as people read it.

use std::fmt;

/// An amount in euro cents, shown as `€1,234.50`.
pub struct Euros(pub u64);

impl fmt::Display for Euros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = (self.0 / 100).to_string();
        f.write_str("€")?;
        for (i, digit) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, ".{:02}", self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn euros_are_grouped() {
        let shown = |cents| Euros(cents).to_string();
        assert_eq!(
            (shown(5), shown(99_900), shown(123_456_789)),
            ("€0.05".into(), "€999.00".into(), "€1,234,567.89".into())
        );
    }
}
