//! The codes of all diagnostics, each with its page in `docs/errors`, so that neither can exist
//! without the other: a code is declared by naming it here, and its page is compiled in.

macro_rules! codes {
    ($($name:ident = $code:literal;)*) => {
        $(pub const $name: &str = $code;)*
        /// Every code with its page.
        const PAGES: &[(&str, &str)] = &[$(
            ($code, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors/", $code, ".md"))),
        )*];
    };
}

/// The page of `docs/errors` for a code such as `C0003`, in Markdown. `c3` and `3` are the same.
pub fn explain(code: &str) -> Option<&'static str> {
    let wanted = number(code)?;
    PAGES.iter().find(|(known, _)| number(known) == Some(wanted)).map(|(_, page)| *page)
}

/// The code that someone most likely meant who wrote one that there is not.
pub fn nearest_code(code: &str) -> Option<&'static str> {
    let wanted = number(code)?;
    codes().min_by_key(|known| number(known).map(|known| known.abs_diff(wanted)))
}

fn number(code: &str) -> Option<u32> {
    let code = code.trim();
    let digits = code.strip_prefix(['C', 'c']).unwrap_or(code);
    digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Every code there is, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}

codes! {
    YAML = "C0001";
    DUPLICATE_KEY = "C0002";
    UNKNOWN_KEY = "C0003";
    WRONG_TYPE = "C0004";
    MISSING_KEY = "C0005";
    INVALID_NAME = "C0006";
    DURATION = "C0007";
    SIZE = "C0008";
    RATE = "C0009";
    PERCENTAGE = "C0010";
    URL = "C0011";
    ADDRESS = "C0012";
    PATH = "C0013";
    HEADER = "C0014";
    METHOD = "C0015";
    STATUS = "C0016";
    NUMBER = "C0017";
    UNDECLARED = "C0018";
    DUPLICATE_ROUTE = "C0019";
    SHADOWED_ROUTE = "C0020";
    PORT_COLLISION = "C0021";
    CYCLE = "C0022";
    RUN_OR_URL = "C0023";
    MISSING_VARIABLE = "C0024";
    SUBSTITUTION = "C0025";
    SELF_REFERENCE = "C0026";
    FALLBACK_LOOP = "C0027";
    PER_TRY = "C0028";
    CONTRADICTION = "C0029";
    REWRITE = "C0030";
    NO_SERVICES = "C0031";
    SECRET_IN_NAME = "C0032";
    OVERLAY = "C0033";
    HOST = "C0034";
    NAME_TAKEN = "C0035";
    NO_ROUTES = "C0036";
    NO_EFFECT = "C0037";
    RESERVED_VARIABLE = "C0038";
    UNSERVED = "C0039";
    UNOPENED = "C0040";
}
