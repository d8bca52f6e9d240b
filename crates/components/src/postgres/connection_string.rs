//! Connection strings, as libpq reads them: words `name=value`, or a URL.
//!
//! They are taken apart here, for whom to trust over TLS and how many connections there are stands in them, too.

use crate::properties::Invalid;

/// What a connection string says, in its order; names as libpq has them.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Invalid> {
    let parsed = match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => url(rest),
        _ => words(text),
    };
    // It may have a password in it, and is not told.
    parsed.map_err(|why| Invalid::of("connectionString", format!("is no connection string: {why}")))
}

type Parsed = Result<Vec<(String, String)>, String>;

fn words(text: &str) -> Parsed {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("a word has no `=`")?;
        let (value, after) = value(after.trim_start())?;
        all.push((name.trim().to_ascii_lowercase(), value));
        rest = after.trim_start();
    }
    Ok(all)
}

/// A value, in quotes or up to the next space; a backslash stands before a quote or another.
fn value(text: &str) -> Result<(String, &str), String> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next().ok_or("it ends with a backslash")?.1),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok((value, "")) }
}

fn url(rest: &str) -> Parsed {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (who, hosts) = place.rsplit_once('@').unwrap_or(("", place));
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let mut all = Vec::new();
    let mut add = |name: &str, text: &str| {
        if !text.is_empty() {
            all.push((name.to_owned(), decoded(text)?));
        }
        Ok::<_, String>(())
    };
    add("user", user)?;
    add("password", password)?;
    add("dbname", database)?;
    for one in hosts.split(',') {
        let (host, port) = match one.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (one, ""),
        };
        add("host", host.trim_start_matches('[').trim_end_matches(']'))?;
        add("port", port)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').ok_or("a word behind the `?` has no `=`")?;
        add(&decoded(name)?.to_ascii_lowercase(), text)?;
    }
    Ok(all)
}

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| "a part of it is no text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        let all = parse(text).expect("it is right");
        all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn words_are_read_with_quotes_and_backslashes() {
        assert_eq!(parsed("host=localhost  Port = 5432"), ["host=localhost", "port=5432"]);
        assert_eq!(parsed(r"password='it\'s a \\ ' user=a\ b"), [r"password=it's a \ ", "user=a b"]);
        assert_eq!(parsed("password='' dbname=x"), ["password=", "dbname=x"]);
        assert!(parsed("  ").is_empty());
        for odd in ["host", "host='x", "host=x\\", "host=x user"] {
            let refused = parse(odd).expect_err("it is none");
            assert!(!refused.to_string().contains("'x"), "{refused}");
        }
    }

    #[test]
    fn urls_are_read() {
        let url = "postgresql://me:p%40ss@db.test:5433/shop?sslmode=verify-full&connect_timeout=3";
        assert_eq!(
            parsed(url),
            [
                "user=me",
                "password=p@ss",
                "dbname=shop",
                "host=db.test",
                "port=5433",
                "sslmode=verify-full",
                "connect_timeout=3"
            ]
        );
        assert_eq!(parsed("postgres://[::1]:1/"), ["host=::1", "port=1"]);
        assert_eq!(parsed("postgres://a,b:2/x"), ["dbname=x", "host=a", "host=b", "port=2"]);
        assert!(parse("postgres://h/x?odd").is_err() && parse("postgres://h/%ff").is_err());
    }
}
