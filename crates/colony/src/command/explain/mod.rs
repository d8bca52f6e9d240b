//! `colony explain`: what a request, a call or an error code comes to.
//!
//! What holds is found by others: the route by the data plane's own matchers, the policies and their places
//! by the manifest. Here it is put together, drawn for people, and told as JSON.

mod draw;
mod json;
pub(crate) mod live;
mod request;
mod subject;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use manifest::terms::{self, Places, Terms, Undeclared};
use manifest::valid;
use serde_json::{Value, json};

use crate::args;
use crate::failure::Failure;
use crate::lower;
use crate::source::Source;
use crate::terminal;
use request::OfRequest;
use subject::Subject;

pub(crate) fn run(args: &args::Explain, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let (subject, path) = Subject::read(args)?;
    if let Subject::Code(code) = subject {
        return page(&code, args.json);
    }
    let manifest =
        args::Manifest { path, overlay: args.overlay.clone(), zone: args.zone.clone(), embedded: false };
    let source = Source::find(&manifest, data)?;
    let read = read(&source, args.json)?;
    if let (Subject::Request(_) | Subject::Route(_), None) = (&subject, &read.manifest.gateway) {
        return Err(Failure::new(format!("{} declares no gateway, so no request comes in", source.shown))
            .hint("of a call: `colony explain CALLER CALLEE`"));
    }
    let mut told = match subject {
        Subject::Request(asked) => Told::Request(request::explain(&read, asked)),
        Subject::Call { caller, callee } => Told::Call(of_call(&read, &caller, &callee)),
        Subject::Route(name) => Told::Call(OfCall { way: request::route(&read, &name), name }),
        Subject::Code(_) => unreachable!("told above"),
    };
    if let (true, Some(way)) = (args.live, told.way_mut()) {
        way.live = Some(live::look(&source, data, way)?);
    }
    match args.json {
        true => terminal::print(&format!("{}\n", json::told(&told, &source)))?,
        false => terminal::print(&draw::told(&told, terminal::width(), terminal::colours()))?,
    }
    Ok(if told.is_carried() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A manifest with where it says what.
struct Read {
    manifest: valid::Manifest,
    places: Places,
}

/// What is told.
#[allow(clippy::large_enum_variant, reason = "one a run")]
enum Told {
    Request(OfRequest),
    Call(OfCall),
}

/// What is told of a call, or of a route without a request.
struct OfCall {
    /// As `colony status` names it.
    name: String,
    way: Result<Way, Undeclared>,
}

/// What carries a request: a route or a declared call.
struct Way {
    /// As `colony status` names it.
    id: String,
    /// Who is called.
    to: String,
    terms: Terms,
    /// What a running node says of it.
    live: Option<Value>,
}

impl Told {
    fn way_mut(&mut self) -> Option<&mut Way> {
        match self {
            Told::Request(of) => of.way.as_mut(),
            Told::Call(of) => of.way.as_mut().ok(),
        }
    }

    /// Whether something carries it.
    fn is_carried(&self) -> bool {
        match self {
            Told::Request(of) => of.way.is_some(),
            Told::Call(of) => of.way.is_ok(),
        }
    }
}

fn of_call(read: &Read, caller: &str, callee: &str) -> OfCall {
    let terms = terms::call(&read.manifest, &read.places, caller, callee);
    let name = lower::call_id(caller, callee);
    let way = terms.map(|terms| Way { id: name.clone(), to: callee.to_owned(), terms, live: None });
    OfCall { name, way }
}

fn read(source: &Source, json: bool) -> Result<Read, Failure> {
    let input = source.read()?;
    let checked = manifest::check(&input);
    let Some(manifest) = checked.manifest else {
        if !json {
            terminal::print(&checked.diagnostics.render(terminal::width(), terminal::colours()))?;
        }
        return Err(Failure::new(format!("{} has errors, so nothing holds yet", source.shown))
            .hint("`colony explain CODE` says more about each")
            .detail("diagnostics", checked.diagnostics.to_json()));
    };
    Ok(Read { manifest, places: Places::of(&input) })
}

/// The page of an error code.
fn page(code: &str, json: bool) -> Result<ExitCode, Failure> {
    match manifest::explain(code) {
        Some(page) if json => terminal::print(&format!("{}\n", json!({ "kind": "code", "page": page })))?,
        Some(page) => terminal::print(&format!("{}\n", page.trim_end()))?,
        None => {
            let failure = Failure::new(format!("there is no error code `{code}`"));
            let failure = match manifest::nearest_code(code) {
                Some(near) => failure.hint(format!("the nearest is {near}: `colony explain {near}`")),
                None => failure.hint("codes look like C0007; `colony check` prints one with every error"),
            };
            return Err(failure.hint(
                "of a request: `colony explain GET /api/cart`; of a call: `colony explain checkout payments`",
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
