//! Paths: cleaned as they come, then taken apart. Segments are decoded by who uses them, so that `%2F` is a part of a
//! key and no end of it.

use std::borrow::Cow;

/// What follows a group's name.
pub(super) type Segments<'a> = Vec<&'a str>;

/// A path without what says nothing: `//`, `/./`, `x/../` and a slash at its end.
pub(super) fn clean(path: &str) -> Cow<'_, str> {
    let dots = path.contains("/.") || path.contains("//");
    if !dots && (path.len() == 1 || !path.ends_with('/')) {
        return path.into();
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/")).into()
}

/// The version, the group and what follows of a path that has these.
pub(super) fn group(path: &str) -> Option<(&str, &str, Segments<'_>)> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let version = segments.next().filter(|version| version.starts_with('v'))?;
    Some((version, segments.next()?, segments.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        for (path, cleaned) in [
            ("/", "/"),
            ("/v1.0/state/s/k", "/v1.0/state/s/k"),
            ("//v1.0///state/s/k/", "/v1.0/state/s/k"),
            ("/v1.0/x/../state/./s/k", "/v1.0/state/s/k"),
            ("/../../v1.0", "/v1.0"),
            ("/v1.0/state/s/.hidden", "/v1.0/state/s/.hidden"),
            ("/v1.0/state/s/a%2Fb", "/v1.0/state/s/a%2Fb"),
        ] {
            assert_eq!(clean(path), cleaned);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_clean_stays_as_it_is(path in "/[./a%]{0,12}") {
            let cleaned = clean(&path).into_owned();
            proptest::prop_assert_eq!(&*clean(&cleaned), cleaned.as_str());
            proptest::prop_assert!(cleaned.split('/').skip(1).all(|segment| segment != "." && segment != ".."));
        }
    }

    #[test]
    fn a_group_has_a_version() {
        assert_eq!(group("/v1.0/state/s/k"), Some(("v1.0", "state", vec!["s", "k"])));
        assert_eq!(group("/v1.0/healthz"), Some(("v1.0", "healthz", vec![])));
        assert_eq!((group("/v1.0"), group("/orders/1"), group("/")), (None, None, None));
    }
}
