//! Which pages a browser may let ask: `--allowed-origins`, by the protocol of Fetch that is called CORS.

/// The origins that may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// CORS is not spoken at all, so that a browser lets no page of another origin see an answer.
    #[default]
    None,
    /// Any.
    All,
    /// These: as they are written, or with one `*` for any text, in lower case.
    Some(Vec<String>),
}

impl Origins {
    /// As the flag has them: with commas between them, `*` for any.
    pub fn new(text: &str) -> Origins {
        let all = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let all: Vec<String> = all.map(str::to_lowercase).collect();
        match () {
            () if all.is_empty() => Origins::None,
            () if all.iter().any(|origin| origin == "*") => Origins::All,
            () => Origins::Some(all),
        }
    }

    /// Whether this one may.
    pub(crate) fn has(&self, origin: &str) -> bool {
        let Origins::Some(all) = self else { return *self == Origins::All };
        let origin = origin.to_lowercase();
        all.iter().any(|one| match one.split_once('*') {
            None => *one == origin,
            Some((head, tail)) => {
                origin.len() >= one.len() - 1 && origin.starts_with(head) && origin.ends_with(tail)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_the_flag_says() {
        assert_eq!((Origins::new(""), Origins::new(" , ")), (Origins::None, Origins::None));
        assert_eq!((Origins::new("*"), Origins::new("http://a,*")), (Origins::All, Origins::All));
        let some = Origins::new("http://Shop.example, https://*.shop.example");
        for origin in ["http://shop.example", "HTTP://SHOP.EXAMPLE", "https://a.shop.example"] {
            assert!(some.has(origin), "{origin}");
        }
        for origin in ["https://shop.example", "http://shop.example:80", "https://.shop.exampl", "null", ""] {
            assert!(!some.has(origin), "{origin}");
        }
        assert!(Origins::All.has("null") && !Origins::None.has("http://a"));
    }
}
