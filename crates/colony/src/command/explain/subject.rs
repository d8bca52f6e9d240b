//! What the words behind `colony explain` mean: a code, a request, a call or a route, and then a manifest.

use std::path::{Path, PathBuf};

use crate::args;
use crate::failure::{self, Failure};

/// What is to be explained.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Code(String),
    Request(Asked),
    Call {
        caller: String,
        callee: String,
    },
    /// A route, as `colony status` names it.
    Route(String),
}

/// A request as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query, or a whole URL.
    pub(super) target: String,
    pub(super) host: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

impl Subject {
    /// What is meant, and where the manifest is.
    pub(super) fn read(args: &args::Explain) -> Result<(Subject, PathBuf), Failure> {
        let words: Vec<&str> = args.what.iter().map(|word| word.trim()).collect();
        let (subject, rest) = match words.as_slice() {
            [route, rest @ ..] if route.starts_with("gateway ") => {
                (Subject::Route((*route).to_owned()), rest)
            }
            ["gateway", target, rest @ ..] if is_target(target) => {
                (Subject::Route(format!("gateway {target}")), rest)
            }
            [call, rest @ ..] if call.contains("->") => (arrow(call)?, rest),
            [target, rest @ ..] if is_target(target) => (asked("GET", target, args)?, rest),
            [method, target, rest @ ..] if is_target(target) => {
                (asked(&method.to_ascii_uppercase(), target, args)?, rest)
            }
            [method, rest @ ..] if is_method(method) => return Err(pathless(method, rest)),
            [code, rest @ ..] if is_code(code) && !rest.is_empty() => {
                let why =
                    format!("`{code}` is an error code, which has no manifest or other words behind it");
                return Err(Failure { code: failure::NO_SENSE, ..Failure::new(why) }
                    .hint(format!("`colony explain {code}`")));
            }
            [code] => (Subject::Code((*code).to_owned()), &[][..]),
            [caller, callee, rest @ ..] => {
                (Subject::Call { caller: (*caller).to_owned(), callee: (*callee).to_owned() }, rest)
            }
            [] => return Err(senseless("nothing to explain is named")),
        };
        let path = match rest {
            [] => ".",
            [path] => path,
            _ => return Err(senseless("there are more words than a subject and a manifest")),
        };
        let asks = !args.header.is_empty() || args.host.is_some();
        match subject {
            Subject::Request(_) => Ok((subject, path.into())),
            _ if asks => Err(senseless("`--header` and `--host` belong to a request")),
            _ => Ok((subject, path.into())),
        }
    }
}

fn is_target(word: &str) -> bool {
    word.starts_with('/') || word.contains("://")
}

/// As services are not called: their names are in lower case.
fn is_method(word: &str) -> bool {
    METHODS.contains(&word)
}

fn is_code(word: &str) -> bool {
    word.strip_prefix('C').is_some_and(|digits| digits.parse::<u32>().is_ok())
}

/// A method without a path behind it.
fn pathless(method: &str, rest: &[&str]) -> Failure {
    let (why, form) = match rest {
        [] => ("nothing says which path is asked for".to_owned(), "/".to_owned()),
        [path] if Path::new(path).exists() => (
            format!("`{path}` is a manifest or its folder, and no path stands before it"),
            format!("/ {path}"),
        ),
        [path, rest @ ..] => {
            let form = [&[&*format!("/{path}")], rest].concat().join(" ");
            (format!("`{path}` is not the path of a request: that begins with `/`"), form)
        }
    };
    Failure { code: failure::NO_SENSE, ..Failure::new(why) }.hint(format!("`colony explain {method} {form}`"))
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

fn arrow(text: &str) -> Result<Subject, Failure> {
    let ends = text.split_once("->").map(|(caller, callee)| (caller.trim(), callee.trim()));
    match ends {
        Some((caller, callee)) if !caller.is_empty() && !callee.is_empty() => {
            Ok(Subject::Call { caller: caller.to_owned(), callee: callee.to_owned() })
        }
        _ => Err(senseless("a call is named as `CALLER -> CALLEE`, in quotes")),
    }
}

fn asked(method: &str, target: &str, args: &args::Explain) -> Result<Subject, Failure> {
    let headers = args.header.iter().map(|line| {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| senseless(format!("`{line}` is no header; write `--header 'x-beta: yes'`")))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(Subject::Request(Asked {
        method: method.to_owned(),
        target: target.to_owned(),
        host: args.host.clone(),
        headers: headers.collect::<Result<_, Failure>>()?,
    }))
}

fn senseless(why: impl Into<String>) -> Failure {
    let failure = Failure { code: failure::NO_SENSE, ..Failure::new(why) };
    failure.hint(
        "`colony explain GET /api/cart`, `colony explain checkout payments` or `colony explain C0007`, \
         the first two with a manifest behind them if it is not in this folder",
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn read(words: &[&str]) -> Result<(Subject, PathBuf), Failure> {
        let args = Args::try_parse_from([&["colony", "explain"], words].concat()).expect("clap takes it");
        let Command::Explain(args) = args.command else { panic!("another command") };
        Subject::read(&args)
    }

    fn request(words: &[&str]) -> (Asked, PathBuf) {
        match read(words).expect("makes sense") {
            (Subject::Request(asked), path) => (asked, path),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_have_a_path_or_a_url() {
        for words in [&["GET", "/x", "shop.yaml"][..], &["get", "/x", "shop.yaml"], &["/x", "shop.yaml"]] {
            let (asked, path) = request(words);
            assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/x"), "{words:?}");
            assert_eq!(path, PathBuf::from("shop.yaml"));
        }
        let (asked, path) = request(&["POST", "http://shop/x", "-H", "X-Beta:  yes ", "--host", "other"]);
        assert_eq!(asked.headers, [("X-Beta".to_owned(), "yes".to_owned())]);
        assert_eq!((asked.host.as_deref(), path), (Some("other"), PathBuf::from(".")));
    }

    #[test]
    fn calls_have_two_ends() {
        for words in [&["checkout", "payments"][..], &["checkout -> payments"], &["checkout->payments"]] {
            let call = Subject::Call { caller: "checkout".to_owned(), callee: "payments".to_owned() };
            assert_eq!(read(words).expect("makes sense"), (call, PathBuf::from(".")));
        }
        let (_, path) = read(&["checkout -> payments", "shop"]).expect("makes sense");
        assert_eq!(path, PathBuf::from("shop"));
    }

    #[test]
    fn routes_go_by_the_name_that_status_has_for_them() {
        for words in [&["gateway /api/**", "shop"][..], &["gateway", "/api/**", "shop"]] {
            let route = Subject::Route("gateway /api/**".to_owned());
            assert_eq!(read(words).expect("makes sense"), (route, PathBuf::from("shop")));
        }
    }

    #[test]
    fn one_word_is_a_code() {
        assert_eq!(read(&["c7"]).expect("makes sense").0, Subject::Code("c7".to_owned()));
    }

    #[test]
    fn what_is_missing_is_said_with_the_right_form() {
        for (words, why, form) in [
            (&["GET", "x"][..], "`x` is not the path of a request", "`colony explain GET /x`"),
            (
                &["GET", "api/cart", "shop.yaml"],
                "that begins with `/`",
                "`colony explain GET /api/cart shop.yaml`",
            ),
            (&["POST", "."], "no path stands before it", "`colony explain POST / .`"),
            (&["GET"], "which path", "`colony explain GET /`"),
            (&["C9999", "shop"], "`C9999` is an error code", "`colony explain C9999`"),
        ] {
            let failure = read(words).expect_err("refused");
            assert_eq!(failure.code, failure::NO_SENSE, "{words:?}");
            assert!(failure.message.contains(why), "{words:?}: {}", failure.message);
            assert_eq!(failure.hints, [form], "{words:?}");
        }
        let call = Subject::Call { caller: "get".to_owned(), callee: "c1".to_owned() };
        assert_eq!(read(&["get", "c1"]).expect("services").0, call);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["checkout ->"][..],
            &["a -> b", "one", "two"],
            &["/x", "one", "two"],
            &["GET", "/x", "--header", "no-colon"],
            &["a", "b", "--host", "shop"],
            &["C0007", "--header", "a: b"],
        ] {
            assert_eq!(read(words).expect_err("refused").code, failure::NO_SENSE, "{words:?}");
        }
    }
}
