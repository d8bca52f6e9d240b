//! The token that a caller must know, where one is set.

use http::HeaderValue;

/// Whether what was given is what was set. Takes as long for a wrong token as for another, so that nobody finds it
/// out letter by letter.
pub(crate) fn matches(token: Option<&str>, given: Option<&HeaderValue>) -> bool {
    let Some(token) = token else { return true };
    let given = given.map_or(&b""[..], HeaderValue::as_bytes);
    let differing = token.bytes().zip(given).fold(0, |differing, (one, other)| differing | (one ^ other));
    token.len() == given.len() && differing == 0
}

/// Where it is given, over HTTP and gRPC alike.
pub(crate) const HEADER: &str = "dapr-api-token";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_matches() {
        let given = |text: &'static str| matches(Some("secret"), Some(&HeaderValue::from_static(text)));
        assert!(given("secret") && matches(None, None));
        assert!(
            !given("")
                && !given("secreT")
                && !given("secret2")
                && !given("secre")
                && !matches(Some("secret"), None)
        );
    }
}
