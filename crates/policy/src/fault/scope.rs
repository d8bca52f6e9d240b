//! Which requests a fault is for.

/// Longest text of each part of a scope, bytes. No request has a longer path or header that gets through.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Which requests a fault is for. What is empty or None lets all through. There is none that no request
/// can be in, nor one that cannot be shown: see [`Scope::new`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    methods: Vec<String>,
    path: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// What a scope asks of a request.
pub trait Asked {
    /// Its method.
    fn method(&self) -> &str;
    /// Its path, without the query.
    fn path(&self) -> &str;
    /// Whether it has this header, in any case of letters, with this value if there is one.
    fn has_header(&self, name: &str, value: Option<&str>) -> bool;
}

impl Scope {
    /// Requests of any of these methods, at this path or below it, with all of these headers.
    ///
    /// # Errors
    /// A sentence, if a part of it is none that a request can have.
    pub fn new(
        methods: Vec<String>,
        path: Option<String>,
        headers: Vec<(String, Option<String>)>,
    ) -> Result<Scope, String> {
        methods.iter().try_for_each(|method| check_method(method))?;
        path.iter().try_for_each(|path| check_path(path))?;
        headers.iter().try_for_each(|(name, value)| check_header(name, value.as_deref()))?;
        Ok(Scope { methods, path, headers })
    }

    /// Methods, any of which.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The path, or what is above it, in whole segments: `/a` is for `/a` and `/a/b`, not for `/ab`.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Headers, all of which, with this value if there is one.
    pub fn headers(&self) -> &[(String, Option<String>)] {
        &self.headers
    }

    /// Whether a request is in it.
    pub fn holds(&self, asked: &impl Asked) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == asked.method()))
            && self.path.as_deref().is_none_or(|above| is_below(asked.path(), above))
            && self.headers.iter().all(|(name, value)| asked.has_header(name, value.as_deref()))
    }
}

pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above.ends_with('/'))
}

fn check_method(method: &str) -> Result<(), String> {
    match is_token(method) {
        true => Ok(()),
        false => Err(format!("{} is no method; write for example GET", shown(method))),
    }
}

/// A path as it is compared: what stands in a request's head before the query.
fn check_path(path: &str) -> Result<(), String> {
    let wrong = |why| Err(format!("{} is no path of a request: {why}", shown(path)));
    let mut segments = path.split('/');
    match () {
        () if !path.starts_with('/') => wrong("it begins with `/`"),
        () if path.contains(['*', '{']) => wrong("it has no wildcards, for what is below it belongs to it"),
        () if path.contains(['?', '#']) => wrong("it ends before the query"),
        () if !path.bytes().all(|byte| byte.is_ascii_graphic()) => {
            wrong("other characters are percent-encoded")
        }
        () if segments.any(|segment| matches!(segment, "." | "..")) => wrong("`.` and `..` are refused"),
        () if path.len() > TEXT_BYTES_MAX => wrong("it is too long"),
        () => Ok(()),
    }
}

fn check_header(name: &str, value: Option<&str>) -> Result<(), String> {
    if !is_token(name) {
        return Err(format!("{} is no name of a header", shown(name)));
    }
    let Some(value) = value else { return Ok(()) };
    let wrong = |why| Err(format!("{} is no value of a header: {why}", shown(value)));
    match () {
        () if value.contains(char::is_control) => wrong("there are no control characters in it"),
        () if value.trim_matches(' ').len() < value.len() => wrong("blanks around it are not part of it"),
        () if value.len() > TEXT_BYTES_MAX => wrong("it is too long"),
        () => Ok(()),
    }
}

/// What names a method or a header (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(in_token)
}

/// What was wrong, such that it tears no terminal.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let cut = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(at, _)| at);
    format!("{:?}{}", &text[..cut], if cut < text.len() { "..." } else { "" })
}
