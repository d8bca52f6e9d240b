//! What customers do: weighted journeys of steps, read from YAML.
//!
//! ```yaml
//! name: shopping
//! customers: 1000            # how many there are; without it every journey is a new customer
//! journeys:
//!   - name: browse
//!     weight: 6              # six journeys of seven begin here; default 1
//!     steps:
//!       - { name: home, get: / }
//!       - { name: product, get: "/api/products/{product}" }
//!   - name: buy
//!     steps:
//!       - name: checkout
//!         post: /api/checkout          # or get, put, patch, delete, head
//!         headers: { idempotency-key: "{unique}" }
//!         json: { customer: "{customer}" }   # or body: text
//!         expect: 201                  # or a list; without it any 2xx or 3xx
//!         save: { order: order_id }    # {order} from the answer's JSON; `a.0.b` goes deeper
//!       - { name: order, get: "/api/orders/{order}" }
//! vars:
//!   product: { range: [1, 120] }       # whole numbers, both ends included
//!   word: [lamp, chair]                # or { list: [...] }
//! ```
//!
//! `{customer}`, and every one of `vars`, is drawn once a journey, so that its steps agree; no two
//! journeys under way share a customer. `{unique}` is new in every request and in every run. In a
//! path values are percent-encoded. In `json`, a text that is one placeholder and nothing else
//! keeps the value's type. `{{` and `}}` stand for braces. A step that fails ends its journey.

mod read;
mod template;
mod yaml;

use std::fmt;
use std::path::Path;

use http::{HeaderName, Method, StatusCode};

use crate::config::Error;

pub(crate) use template::{Scope, Template};

/// A valid scenario: every journey has steps, every placeholder a value.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) customers: Option<u64>,
    pub(crate) journeys: Vec<Journey>,
    pub(crate) vars: Vec<(String, Choice)>,
}

/// Steps in their order, begun as often as `weight` says.
#[derive(Clone, Debug)]
pub(crate) struct Journey {
    pub name: String,
    pub weight: u64,
    pub steps: Vec<Step>,
}

/// One request and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub name: String,
    pub method: Method,
    pub path: Template,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Body,
    pub expect: Vec<StatusCode>,
    pub save: Vec<(String, String)>,
}

impl Step {
    /// Whether an answer with this status is what the step wanted.
    pub(crate) fn expects(&self, status: StatusCode) -> bool {
        match self.expect.as_slice() {
            [] => status.is_success() || status.is_redirection(),
            listed => listed.contains(&status),
        }
    }
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Text(Template),
    Json(Json),
}

/// JSON with templates for its texts.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Fixed(serde_json::Value),
    Text(Template),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    /// The value under `scope`.
    pub(crate) fn value(&self, scope: &Scope) -> serde_json::Value {
        match self {
            Json::Fixed(value) => value.clone(),
            Json::Text(template) => template.json(scope),
            Json::List(items) => items.iter().map(|item| item.value(scope)).collect(),
            Json::Map(entries) => {
                entries.iter().map(|(key, item)| (key.clone(), item.value(scope))).collect()
            }
        }
    }
}

/// What a variable is drawn from, never empty.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// Both ends included.
    Range(i64, i64),
    List(Vec<serde_json::Value>),
}

impl Scenario {
    /// `GET` the target itself, again and again.
    pub fn get() -> Scenario {
        Scenario::single(Method::GET, Vec::new(), Body::None)
    }

    /// One request to the target itself, again and again; `body` is sent as it is.
    ///
    /// # Errors
    /// [`Error::Config`] says which method or header can't be sent.
    pub fn request(
        method: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> Result<Scenario, Error> {
        let method: Method = method
            .to_uppercase()
            .parse()
            .map_err(|_| Error::Config(format!("`{method}` is no HTTP method")))?;
        let fixed = headers.iter().map(|(name, value)| fixed_header(name, value));
        let headers = fixed.collect::<Result<_, _>>().map_err(Error::Config)?;
        let body = body.map_or(Body::None, |text| Body::Text(Template::fixed(text)));
        Ok(Scenario::single(method, headers, body))
    }

    /// Reads a scenario from the text of a file; `source` is its name in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(source: &str, text: &str) -> Result<Scenario, ScenarioError> {
        read::scenario(text).map_err(|problems| ScenarioError { source: source.to_owned(), problems })
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// As [`Scenario::parse`]; a file that can't be read is one problem.
    pub fn read(path: &Path) -> Result<Scenario, ScenarioError> {
        let source = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Scenario::parse(&source, &text),
            Err(error) => {
                let problem = Problem { line: 0, column: 0, message: format!("cannot be read: {error}") };
                Err(ScenarioError { source, problems: vec![problem] })
            }
        }
    }

    /// What the file calls it, or the request that it repeats.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn single(method: Method, headers: Vec<(HeaderName, Template)>, body: Body) -> Scenario {
        let name = method.to_string();
        let step = Step {
            name: name.clone(),
            method,
            path: Template::default(),
            headers,
            body,
            expect: Vec::new(),
            save: Vec::new(),
        };
        let journey = Journey { name: name.clone(), weight: 1, steps: vec![step] };
        Scenario { name, customers: None, journeys: vec![journey], vars: Vec::new() }
    }
}

fn fixed_header(name: &str, value: &str) -> Result<(HeaderName, Template), String> {
    let known = header_name(name)?;
    match http::HeaderValue::from_str(value) {
        Ok(_) => Ok((known, Template::fixed(value))),
        Err(_) => Err(format!("the value of header `{name}` holds a control character")),
    }
}

/// Headers that describe the connection or the length of the body are the client's own business.
fn header_name(name: &str) -> Result<HeaderName, String> {
    let known: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
    match known.as_str() {
        "connection" | "content-length" | "transfer-encoding" | "upgrade" | "keep-alive" | "te"
        | "trailer" => Err(format!("the client sets `{name}` by itself")),
        _ => Ok(known),
    }
}

/// A scenario that can't be run: everything that is wrong with it.
#[derive(Clone, Debug)]
pub struct ScenarioError {
    /// The file's name.
    pub source: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// From 1; 0 when the whole file is meant.
    pub line: usize,
    /// From 1; 0 when the whole file is meant.
    pub column: usize,
    /// One sentence, without the place.
    pub message: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            let Problem { line, column, message } = problem;
            match line {
                0 => write!(f, "{newline}{}: {message}", self.source)?,
                _ => write!(f, "{newline}{}:{line}:{column}: {message}", self.source)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}
