//! Pages of what there may be much of: how many are told at a time, and where the next page begins.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use crate::problem::Problem;

/// Where a page of items has ended: behind this key of this scope. As text it says nothing to who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub scope: String,
    pub key: Bytes,
}

/// A scope of which items are still to be listed, and after which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub scope: String,
    pub after: Option<Bytes>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = [self.scope.as_bytes(), &[0], &self.key].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(whole))
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Cursor, Problem> {
        let odd =
            || Problem::invalid(format!("`after` is {text:?}, which is no place where a page has ended"));
        let whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| odd())?;
        // No scope has a zero byte in it; a key may.
        let end = whole.iter().position(|byte| *byte == 0).ok_or_else(odd)?;
        let scope = std::str::from_utf8(&whole[..end]).map_err(|_| odd())?.to_owned();
        Ok(Cursor { scope, key: Bytes::copy_from_slice(&whole[end + 1..]) })
    }
}

/// Of these scopes, in order, those with what comes after `cursor`.
pub(super) fn left(scopes: Vec<String>, cursor: Option<&Cursor>) -> Vec<Left> {
    let after = |scope: &str| cursor.filter(|cursor| cursor.scope == scope).map(|cursor| cursor.key.clone());
    let rest = scopes.into_iter().filter(|scope| cursor.is_none_or(|cursor| *scope >= cursor.scope));
    rest.map(|scope| Left { after: after(&scope), scope }).collect()
}

/// How many are told at a time: as many as are wanted, within bounds.
///
/// # Errors
/// None are wanted, or more than `max`.
pub(super) fn limit(wanted: Option<usize>, usual: usize, max: usize) -> Result<usize, Problem> {
    match wanted {
        None => Ok(usual),
        Some(wanted) if (1..=max).contains(&wanted) => Ok(wanted),
        Some(_) => Err(Problem::invalid(format!("`limit` is 1 to {max}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(scope: &str, key: &'static [u8]) -> Cursor {
        Cursor { scope: scope.to_owned(), key: Bytes::from_static(key) }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for one in [cursor("cart", b"ada"), cursor("", b"\0\xff/"), cursor("a||b", b"")] {
            assert_eq!(one.to_string().parse::<Cursor>(), Ok(one.clone()), "{one}");
            assert!(!one.to_string().contains(['/', '+', '=']), "{one}");
        }
        for odd in ["", "!", "YWRh"] {
            assert!(odd.parse::<Cursor>().is_err(), "{odd}");
        }
    }

    #[test]
    fn scopes_before_the_cursor_are_done_with() {
        let scopes = || ["", "cart", "catalog"].map(str::to_owned).to_vec();
        let told = |cursor: Option<&Cursor>| {
            let left = left(scopes(), cursor).into_iter();
            left.map(|left| (left.scope, left.after.map(|key| key.to_vec()))).collect::<Vec<_>>()
        };
        let all = [("".to_owned(), None), ("cart".to_owned(), None), ("catalog".to_owned(), None)];
        assert_eq!(told(None), all);
        assert_eq!(
            told(Some(&cursor("cart", b"k"))),
            [("cart".to_owned(), Some(b"k".to_vec())), ("catalog".to_owned(), None)]
        );
        assert_eq!(told(Some(&cursor("cat", b"k"))), [("catalog".to_owned(), None)], "it is gone since");
        assert_eq!(told(Some(&cursor("z", b"k"))), []);
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(limit(None, 100, 500), Ok(100));
        assert_eq!(limit(Some(500), 100, 500), Ok(500));
        assert!(limit(Some(0), 100, 500).is_err() && limit(Some(501), 100, 500).is_err());
    }
}
