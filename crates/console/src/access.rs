//! Who is let in over TCP. Pure: what a head says, against the token.
//!
//! A page of another site in the same browser can send requests here, and with a name of its own that it has resolve to 127.0.0.1 it
//! could even read what comes of them. So before anybody is asked for a token: the host must be an address or `localhost`, which no
//! site can take for its own (DNS rebinding); and a browser that says that another site asks is refused (`Sec-Fetch-Site`,
//! `Origin`). Then: the token as a bearer, or a session that it was exchanged for.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::problem::Problem;
use crate::token::Token;

/// What is done with a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry {
    /// It is answered.
    Admitted,
    /// It brings the token in its link: it gets a session, and is sent to the same address without.
    Exchange(String),
    /// It is refused.
    Refused(Problem),
}

/// Who may come in.
pub(crate) struct Door {
    pub(crate) token: Token,
    /// The name of the session's cookie: cookies are a host's, whatever the port.
    pub(crate) cookie: String,
}

impl Door {
    pub(crate) fn new(token: Token, port: u16) -> Door {
        Door { token, cookie: format!("colony_console_{port}") }
    }

    /// What is done with the request of this head.
    pub(crate) fn entry(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now_unix_s: u64) -> Entry {
        let host = match host(headers) {
            Ok(host) => host,
            Err(problem) => return Entry::Refused(problem),
        };
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let given = is_read.then(|| uri.query().and_then(token_of)).flatten();
        // A link may be on any site; what it opens is a page of its own.
        let is_link = given.is_some() && !uri.path().starts_with("/api/");
        if let Err(problem) = from_here(headers, host, is_link) {
            return Entry::Refused(problem);
        }
        if let Some(given) = given {
            return match self.token.is(given) && is_link {
                true => Entry::Exchange(without_token(uri)),
                false => Entry::Refused(unauthorized("the token in the link is not the one of this node")),
            };
        }
        if let Some(bearer) = bearer(headers) {
            return match self.token.is(bearer) {
                true => Entry::Admitted,
                false => Entry::Refused(unauthorized("the token is not the one of this node")),
            };
        }
        if !self.has_session(headers, now_unix_s) {
            return Entry::Refused(unauthorized("a token is needed"));
        }
        // A session comes along by itself: that the console's own page asks must be said.
        if !is_read && !says_own_page(headers, host) {
            let detail =
                "a request that changes something must say by `Origin` that the console's own page asks";
            return Entry::Refused(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Entry::Admitted
    }

    fn has_session(&self, headers: &HeaderMap, now_unix_s: u64) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && self.token.is_session(value, now_unix_s))
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .remedy("open the link that `colony up` printed, or that `colony console` prints")
}

/// The host that is asked for, if no site can have it for its own.
fn host(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut all = headers.get_all(HOST).iter();
    let (Some(host), None) = (all.next().and_then(|host| host.to_str().ok()), all.next()) else {
        return Err(Problem::invalid("a request has one `Host`"));
    };
    match is_own(host) {
        true => Ok(host),
        false => Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the console is asked for by an address or as `localhost`, not by another name",
        )),
    }
}

fn is_own(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.starts_with(':') => {
            return address.parse::<std::net::Ipv6Addr>().is_ok();
        }
        Some(_) => return false,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Refuses what a browser says comes from another site.
fn from_here(headers: &HeaderMap, host: &str, is_link: bool) -> Result<(), Problem> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let is_foreign = !matches!(site, None | Some(b"same-origin" | b"none"));
    let is_navigation = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let origin = headers.get(ORIGIN);
    if (is_foreign && !(is_link && is_navigation)) || origin.is_some_and(|origin| !is_origin(origin, host)) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "another site asks, and is refused"));
    }
    Ok(())
}

fn says_own_page(headers: &HeaderMap, host: &str) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| is_origin(origin, host))
}

fn is_origin(origin: &http::HeaderValue, host: &str) -> bool {
    let own =
        |origin: &str| origin.strip_prefix("http://").is_some_and(|from| from.eq_ignore_ascii_case(host));
    origin.to_str().is_ok_and(own)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn token_of(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// The same address without the token. Its path begins with one slash, for two would be another host's.
fn without_token(uri: &Uri) -> String {
    let rest: Vec<&str> = uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.starts_with("token=") && !pair.is_empty())
        .collect();
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    if rest.is_empty() { path } else { format!("{path}?{}", rest.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    struct Asks {
        door: Door,
        session: String,
        token: String,
    }

    impl Asks {
        fn new() -> Asks {
            let folder = tempfile::tempdir().unwrap();
            let token = Token::of(folder.path()).unwrap();
            let (session, text) = (token.session(NOW), token.text().to_owned());
            Asks { door: Door::new(token, 7700), session, token: text }
        }

        fn entry(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Entry {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                map.append(name, value.parse().unwrap());
            }
            let uri: Uri = uri.replace("TOKEN", &self.token).parse().unwrap();
            self.door.entry(&method.parse().unwrap(), &uri, &map, NOW)
        }

        fn cookie(&self) -> String {
            format!("other=1; colony_console_7700={}", self.session)
        }
    }

    fn status(entry: &Entry) -> u16 {
        match entry {
            Entry::Refused(problem) => problem.status.as_u16(),
            Entry::Admitted => 200,
            Entry::Exchange(_) => 303,
        }
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:7700");

    #[test]
    fn without_a_token_nothing_is_served() {
        let asks = Asks::new();
        for path in ["/", "/api/status", "/assets/app.js", "/metrics", "/?x=1", "/nothing"] {
            assert_eq!(status(&asks.entry("GET", path, &[HERE])), 401, "{path}");
        }
        assert_eq!(status(&asks.entry("POST", "/api/faults", &[HERE])), 401);
        for wrong in ["/?token=", "/?token=abc", "/?token=TOKENx"] {
            assert_eq!(status(&asks.entry("GET", wrong, &[HERE])), 401, "{wrong}");
        }
        for wrong in ["Bearer abc", "Basic abc", "Bearer", "Bearer "] {
            assert_eq!(
                status(&asks.entry("GET", "/api/status", &[HERE, ("authorization", wrong)])),
                401,
                "{wrong}"
            );
        }
        let forged = ("cookie", "colony_console_7700=1000000.AAAA");
        assert_eq!(status(&asks.entry("GET", "/", &[HERE, forged])), 401);
        let elsewhere = format!("colony_console_7701={}", asks.session);
        assert_eq!(status(&asks.entry("GET", "/", &[HERE, ("cookie", &elsewhere)])), 401);
    }

    #[test]
    fn a_link_is_exchanged_for_a_session_and_loses_its_token() {
        let asks = Asks::new();
        let to = |path: &str| asks.entry("GET", path, &[HERE]);
        assert_eq!(to("/?token=TOKEN"), Entry::Exchange("/".to_owned()));
        assert_eq!(to("/map?a=1&token=TOKEN&b=2"), Entry::Exchange("/map?a=1&b=2".to_owned()));
        assert_eq!(to("//evil.example/?token=TOKEN"), Entry::Exchange("/evil.example/".to_owned()));
        assert_eq!(status(&to("/api/status?token=TOKEN")), 401, "a token belongs into no address of the API");
        assert_eq!(status(&asks.entry("POST", "/?token=TOKEN", &[HERE])), 401);
        let clicked = [HERE, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(status(&asks.entry("GET", "/?token=TOKEN", &clicked)), 303);
        let fetched = [HERE, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
        assert_eq!(status(&asks.entry("GET", "/?token=TOKEN", &fetched)), 403);
    }

    #[test]
    fn a_session_reads_and_its_own_page_writes() {
        let asks = Asks::new();
        let cookie = asks.cookie();
        let cookie = ("cookie", cookie.as_str());
        assert_eq!(status(&asks.entry("GET", "/api/status", &[HERE, cookie])), 200);
        let own = ("origin", "http://127.0.0.1:7700");
        assert_eq!(status(&asks.entry("POST", "/api/faults", &[HERE, cookie, own])), 200);
        assert_eq!(status(&asks.entry("POST", "/api/faults", &[HERE, cookie])), 403, "nobody says who asks");
        for foreign in [
            "http://evil.example",
            "http://127.0.0.1:8080",
            "https://127.0.0.1:7700",
            "null",
            "http://localhost:7700",
        ] {
            let entry = asks.entry("POST", "/api/faults", &[HERE, cookie, ("origin", foreign)]);
            assert_eq!(status(&entry), 403, "{foreign}");
        }
    }

    #[test]
    fn a_script_brings_the_token_as_a_bearer() {
        let asks = Asks::new();
        let bearer = format!("Bearer {}", asks.token);
        let bearer = ("authorization", bearer.as_str());
        assert_eq!(status(&asks.entry("GET", "/metrics", &[HERE, bearer])), 200);
        assert_eq!(status(&asks.entry("DELETE", "/api/faults", &[HERE, bearer])), 200);
        let foreign = ("origin", "http://evil.example");
        assert_eq!(status(&asks.entry("GET", "/api/status", &[HERE, bearer, foreign])), 403);
    }

    #[test]
    fn other_sites_are_refused_whatever_they_know() {
        let asks = Asks::new();
        let cookie = asks.cookie();
        for site in ["cross-site", "same-site", "odd"] {
            let headers =
                [HERE, ("cookie", cookie.as_str()), ("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
            assert_eq!(status(&asks.entry("GET", "/api/status", &headers)), 403, "{site}");
        }
        for site in ["same-origin", "none"] {
            let headers = [HERE, ("cookie", cookie.as_str()), ("sec-fetch-site", site)];
            assert_eq!(status(&asks.entry("GET", "/api/status", &headers)), 200, "{site}");
        }
    }

    #[test]
    fn a_name_that_a_site_may_own_is_refused() {
        let asks = Asks::new();
        let cookie = asks.cookie();
        let at =
            |host: &str| status(&asks.entry("GET", "/api/status", &[("host", host), ("cookie", &cookie)]));
        for own in ["127.0.0.1:7700", "localhost:7700", "LOCALHOST", "[::1]:7700", "192.168.1.5:7700"] {
            assert_eq!(at(own), 200, "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:7700",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[::1",
            "[::1]x",
            "",
        ] {
            assert_eq!(at(other), 421, "{other}");
        }
        assert_eq!(status(&asks.entry("GET", "/", &[("cookie", &cookie)])), 400, "none");
        assert_eq!(status(&asks.entry("GET", "/", &[HERE, HERE, ("cookie", &cookie)])), 400, "two");
    }
}
