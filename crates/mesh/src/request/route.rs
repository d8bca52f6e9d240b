//! Which route a request takes, and what its path becomes.
//!
//! Patterns are compiled once so that matching neither allocates nor splits: a pattern of literal
//! segments is one comparison of bytes.

use http::Method;

use crate::config;
use crate::message::fields::Fields;

/// A compiled [`config::Matcher`].
#[derive(Debug)]
pub(crate) struct Matcher {
    host: Option<Host>,
    path: Path,
    methods: Vec<Method>,
    headers: Vec<(String, String)>,
}

/// How far a request got with one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// All but the method.
    NotMethod,
    No,
}

impl Matcher {
    /// None if a method is not valid HTTP, which the manifest has checked before.
    pub(crate) fn new(config: &config::Matcher) -> Option<Matcher> {
        Some(Matcher {
            host: config.host.as_deref().map(Host::new),
            path: Path::new(&config.path),
            methods: config.methods.iter().map(|method| method.parse()).collect::<Result<_, _>>().ok()?,
            headers: config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    pub(crate) fn fit(&self, host: &str, path: &str, method: &Method, fields: &Fields) -> Fit {
        let all_but_method =
            self.path.matches(path) && self.takes_host(host) && self.missed_header(fields).is_none();
        match all_but_method {
            false => Fit::No,
            true if self.takes_method(method) => Fit::Yes,
            true => Fit::NotMethod,
        }
    }

    pub(crate) fn takes_host(&self, host: &str) -> bool {
        self.host.as_ref().is_none_or(|wanted| wanted.matches(host))
    }

    /// The first header that is not as it is wanted: its name and the value wanted.
    pub(crate) fn missed_header(&self, fields: &Fields) -> Option<&(String, String)> {
        self.headers.iter().find(|(name, value)| fields.named(name) != Some(value.as_bytes()))
    }

    fn takes_method(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }
}

#[derive(Debug)]
enum Host {
    Exact(String),
    /// With the leading dot.
    Suffix(String),
}

impl Host {
    fn new(text: &str) -> Host {
        match text.strip_prefix('*') {
            Some(suffix) => Host::Suffix(suffix.to_owned()),
            None => Host::Exact(text.to_owned()),
        }
    }

    fn matches(&self, host: &str) -> bool {
        let host = without_port(host);
        match self {
            Host::Exact(wanted) => host.eq_ignore_ascii_case(wanted),
            Host::Suffix(suffix) => {
                host.len() > suffix.len()
                    && host.as_bytes()[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
            }
        }
    }
}

/// The host of an authority, without port and with the brackets of an IPv6 address.
pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

/// Whether this can be a host, maybe with a port. Narrower than RFC 3986: sub-delimiters name no host
/// that exists, but may be read differently by the next hop.
pub(crate) fn is_host(text: &[u8]) -> bool {
    let (name, port) = match text.strip_prefix(b"[") {
        Some(address) => match address.iter().position(|byte| *byte == b']') {
            Some(end) if end > 0 => (&address[..end], &address[end + 1..]),
            _ => return false,
        },
        None => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            text.split_at(end)
        }
    };
    let more: &[u8] = if text.starts_with(b"[") { b"-._~%:" } else { b"-._~%" };
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || more.contains(byte))
        && match port {
            [] => true,
            [b':', digits @ ..] => !name.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

/// A compiled path pattern.
#[derive(Debug)]
pub(crate) struct Path {
    /// The literal segments before the first wildcard, each with its leading slash.
    prefix: String,
    /// What comes after `prefix`, None for any one segment.
    tail: Vec<Option<String>>,
    rest: bool,
}

impl Path {
    pub(crate) fn new(pattern: &config::Pattern) -> Path {
        let literal = pattern.segments.iter().take_while(|segment| segment.is_some()).count();
        let mut prefix = String::new();
        for segment in pattern.segments[..literal].iter().flatten() {
            prefix.push('/');
            prefix.push_str(segment);
        }
        Path { prefix, tail: pattern.segments[literal..].to_vec(), rest: pattern.rest }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        self.rest_of(path, |_| ()).is_some()
    }

    /// What `**` matched, with its leading slash (or empty); `any` gets what each wildcard segment
    /// matched. None: the path does not match.
    fn rest_of<'p>(&self, path: &'p str, mut any: impl FnMut(&'p str)) -> Option<&'p str> {
        let mut rest = path.strip_prefix(self.prefix.as_str())?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        for wanted in &self.tail {
            let after = rest.strip_prefix('/')?;
            let (segment, next) = after.split_at(after.find('/').unwrap_or(after.len()));
            match wanted {
                Some(literal) if literal != segment => return None,
                None if segment.is_empty() => return None,
                None => any(segment),
                Some(_) => {}
            }
            rest = next;
        }
        let root = self.prefix.is_empty() && self.tail.is_empty() && rest == "/";
        (self.rest || rest.is_empty() || root).then_some(rest)
    }

    /// The path that `self` becomes by the pattern `to`: wildcard segments of `to` take what those
    /// of `self` matched, in order, and its `**` what the `**` of `self` did.
    pub(crate) fn rewrite(&self, path: &str, to: &config::Pattern) -> Option<String> {
        let mut matched = Vec::new();
        let rest = self.rest_of(path, |segment| matched.push(segment))?;
        let mut matched = matched.into_iter();
        let mut out = String::with_capacity(path.len());
        for segment in &to.segments {
            out.push('/');
            out.push_str(match segment {
                Some(literal) => literal,
                None => matched.next().unwrap_or("*"),
            });
        }
        if to.rest {
            out.push_str(rest);
        }
        if out.is_empty() {
            out.push('/');
        }
        Some(out)
    }
}

/// Whether a path has a `.` or `..` segment, also percent-encoded: a matcher and an upstream may
/// read such a path differently, so it is refused.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    if !path.contains("/.") && !path.contains('%') && !path.contains('\\') {
        return false;
    }
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> config::Pattern {
        let (text, rest) = match text.strip_suffix("/**") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let segments = text.split('/').skip(1).filter(|segment| !segment.is_empty());
        config::Pattern { segments: segments.map(|s| (s != "*").then(|| s.to_owned())).collect(), rest }
    }

    fn matches(wanted: &str, path: &str) -> bool {
        Path::new(&pattern(wanted)).matches(path)
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_maybe_a_port() {
        for host in
            ["", "shop", "shop.example:8080", "10.0.0.1:", "[::1]", "[::1]:80", "a_b-c", "[fe80::1%25lo]"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for other in [
            ":80",
            "shop:80:81",
            "shop:x",
            "[::1",
            "[]",
            "::1",
            "[::1]x",
            "[::1]:x",
            "a]b",
            "me@shop",
            "a/b",
            "a b",
        ] {
            assert!(!is_host(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn literal_paths_match_whole_segments_only() {
        assert!(matches("/api/cart", "/api/cart"));
        assert!(!matches("/api/cart", "/api/carts"));
        assert!(!matches("/api/cart", "/api/cart/1"));
        assert!(matches("/", "/"));
        assert!(!matches("/", "/x"));
    }

    #[test]
    fn rest_matches_nothing_too() {
        assert!(matches("/api/**", "/api"));
        assert!(matches("/api/**", "/api/"));
        assert!(matches("/api/**", "/api/a/b"));
        assert!(!matches("/api/**", "/apis"));
        assert!(matches("/**", "/"));
        assert!(matches("/**", "/anything"));
    }

    #[test]
    fn a_wildcard_takes_one_segment() {
        assert!(matches("/a/*/c", "/a/b/c"));
        assert!(!matches("/a/*/c", "/a//c"));
        assert!(!matches("/a/*/c", "/a/b/x"));
        assert!(matches("/a/*/**", "/a/b/x/y"));
    }

    #[test]
    fn rewrite_carries_wildcards_and_rest() {
        let rewrite = |from: &str, to: &str, path: &str| {
            Path::new(&pattern(from)).rewrite(path, &pattern(to)).expect("matches")
        };
        assert_eq!(rewrite("/api/catalog/**", "/**", "/api/catalog/products/1"), "/products/1");
        assert_eq!(rewrite("/api/catalog/**", "/**", "/api/catalog"), "/");
        assert_eq!(rewrite("/u/*/o/*", "/orders/*/*", "/u/7/o/9"), "/orders/7/9");
        assert_eq!(rewrite("/old/**", "/new", "/old/x"), "/new");
    }

    #[test]
    fn hosts_match_without_case_and_port() {
        assert!(Host::new("shop.example").matches("Shop.Example:8080"));
        assert!(Host::new("*.shop.example").matches("a.b.shop.example"));
        assert!(!Host::new("*.shop.example").matches("shop.example"));
        assert!(!Host::new("*.shop.example").matches("evilshop.example"));
        assert!(Host::new("[::1]").matches("[::1]:80"));
    }

    #[test]
    fn dot_segments_are_seen_through_encodings() {
        for path in ["/a/../b", "/./a", "/a/%2e%2E/b", "/a/..", "/a\\..\\b"] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/.well-known/x", "/a..b", "/a/...", "/a%20b"] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }
}
