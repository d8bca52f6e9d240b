//! Text in HTML.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Text as it must be written in HTML, between tags or in a quoted attribute.
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// An SVG as the address of a picture. Inside a picture nothing in it can run, whoever drew it.
pub struct Picture<'a>(pub &'a str);

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data:image/svg+xml,{}", utf8_percent_encode(self.0, UNSAFE))
    }
}

const UNSAFE: &AsciiSet = &CONTROLS.add(b'#').add(b'%').add(b'<').add(b'>').add(b'"').add(b'&');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(Text("a<b> & \"c\" 'd' é").to_string(), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; é");
        assert_eq!(Text("plain").to_string(), "plain");
    }

    #[test]
    fn a_picture_cannot_leave_its_attribute() {
        assert_eq!(Picture("<svg a='#f'\">").to_string(), "data:image/svg+xml,%3Csvg a='%23f'%22%3E");
    }
}
