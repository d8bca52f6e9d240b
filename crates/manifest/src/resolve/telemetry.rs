//! `telemetry`, with its defaults.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolve::policies::contradiction;
use crate::resolve::{defaults, headers};
use crate::typed::{self, Field};
use crate::units::show_size;
use crate::valid::{Compression, ExportOtlp, ExportProtocol, OtlpListeners, Signal, Telemetry, Window};

/// What is said of telemetry, and what holds where nothing is said.
pub(super) fn resolve(typed: &typed::Manifest, found: &mut Vec<Diagnostic>) -> Telemetry {
    let mut telemetry = defaults::telemetry();
    let Some(given) = typed.telemetry.value() else { return telemetry };
    if let Some(traces) = given.traces.value() {
        telemetry.traces = traces.0;
    }
    if let Some(options) = given.window.value() {
        telemetry.window = window(options, found);
    }
    match given.otlp.value() {
        None => {}
        Some(typed::OrNone::None) => telemetry.otlp = None,
        Some(typed::OrNone::Some(listeners)) => {
            let at = |listen: &Field<typed::Listen>| listen.value().map(|listen| listen.0);
            telemetry.otlp = Some(OtlpListeners { grpc: at(&listeners.grpc), http: at(&listeners.http) });
        }
    }
    telemetry.export = given.export.value().and_then(|one| export(one.otlp.value()?, found));
    if let Some(to) = given.export.value().and_then(|one| one.otlp.value()?.endpoint.get()) {
        refuse_itself(to, telemetry.otlp.as_ref(), found);
    }
    telemetry
}

/// A collector is not the node itself, as far as the manifest says where that listens.
fn refuse_itself(
    to: &typed::At<typed::CollectorUrl>,
    listeners: Option<&OtlpListeners>,
    found: &mut Vec<Diagnostic>,
) {
    let own = listeners.into_iter().flat_map(|own| [own.grpc, own.http]).flatten();
    let ports: Vec<u16> = own.map(|own| own.port()).filter(|port| *port > 0).collect();
    if to.value.0.is_local() && ports.contains(&to.value.0.port) {
        let one = contradiction(to.span, "`telemetry.export` names the node's own listener");
        found.push(one.label("listened on by `telemetry.otlp`").help(
            "what is sent there would come back to be sent again: name a collector, or leave `export` out",
        ));
    }
}

fn window(options: &typed::WindowOptions, found: &mut Vec<Diagnostic>) -> Window {
    let default = defaults::telemetry().window;
    Window {
        bytes: at_least(&options.size, defaults::WINDOW_BYTES_MIN, default.bytes, "a window", found),
        age: options.age.value().map_or(default.age, |age| age.0),
    }
}

fn at_least(
    size: &Field<typed::Size>,
    least: u64,
    default: u64,
    what: &str,
    found: &mut Vec<Diagnostic>,
) -> u64 {
    let Some(at) = size.get() else { return default };
    if at.value.0 < least {
        let message = format!("{what} has at least {}", show_size(least));
        let one = Diagnostic::error(codes::SIZE, at.span, message).label("too small");
        found.push(one.help(format!(
            "write `{}` or more, or leave it out for {}",
            show_size(least),
            show_size(default)
        )));
    }
    at.value.0
}

fn export(given: &typed::ExportOtlp, found: &mut Vec<Diagnostic>) -> Option<ExportOtlp> {
    let signals = signals(&given.signals, found);
    let queue_bytes = at_least(
        &given.queue,
        defaults::EXPORT_QUEUE_BYTES_MIN,
        defaults::EXPORT_QUEUE_BYTES,
        "a queue",
        found,
    );
    let headers = match &given.headers {
        Field::Given { at, .. } => {
            refuse_own(&at.value, found);
            headers(&at.value, found)?
        }
        _ => Vec::new(),
    };
    let url = given.endpoint.get()?;
    let protocol = given.protocol.value().map_or(ExportProtocol::Http, |protocol| protocol.0);
    if protocol == ExportProtocol::Grpc && !url.value.0.path.is_empty() {
        let one = contradiction(url.span, "a collector that is spoken to by gRPC has no path");
        found.push(
            one.label("gRPC has paths of its own")
                .help("leave the path out, or write `protocol: http/protobuf`"),
        );
    } else {
        refuse_whole(url, found);
    }
    let scheme = if url.value.0.tls { "https" } else { "http" };
    Some(ExportOtlp {
        endpoint: format!("{scheme}://{}{}", url.value.0.authority(), url.value.0.path),
        protocol,
        headers,
        signals,
        compression: given.compression.value().map_or(Compression::None, |compression| compression.0),
        timeout: given.timeout.value().map_or(defaults::EXPORT_TIMEOUT, |timeout| timeout.0),
        queue_bytes,
    })
}

/// Who wrote where spans go wrote more than where the collector is.
fn refuse_whole(url: &typed::At<typed::CollectorUrl>, found: &mut Vec<Diagnostic>) {
    let path = &url.value.0.path;
    if let Some(signal) =
        Signal::ALL.into_iter().find(|signal| path.ends_with(&format!("/v1/{}", signal.name())))
    {
        let message = format!("`/v1/{}` is put behind the endpoint, and would be there twice", signal.name());
        found.push(contradiction(url.span, message).label("too much").help("write what stands before it"));
    }
}

fn signals(given: &Field<typed::OneOrMany<typed::SignalName>>, found: &mut Vec<Diagnostic>) -> Vec<Signal> {
    let Field::Given { key, at } = given else { return Signal::ALL.to_vec() };
    if at.value.0.is_empty() {
        found.push(nothing(*key));
    }
    let mut signals = Vec::new();
    for signal in &at.value.0 {
        if signals.contains(&signal.value.0) {
            let message = format!("`{}` is listed twice", signal.value.0.name());
            found.push(Diagnostic::warning(codes::NO_EFFECT, signal.span, message).label("again here"));
        } else {
            signals.push(signal.value.0);
        }
    }
    signals.sort_unstable();
    signals
}

fn nothing(key: Span) -> Diagnostic {
    let one = Diagnostic::error(codes::WRONG_TYPE, key, "`signals` is an empty list");
    one.label("one at least").help("leave `export` out to send nothing")
}

/// Headers that say what a request is, and are not for anybody else to say.
fn refuse_own(headers: &typed::Map<typed::AsWritten>, found: &mut Vec<Diagnostic>) {
    for (name, _) in &headers.0 {
        let lower = name.value.to_ascii_lowercase();
        if OWN.contains(&lower.as_str()) || lower.starts_with("grpc-") {
            let message = format!("`{lower}` is set by who sends");
            let one = Diagnostic::error(codes::HEADER, name.span, message);
            found.push(
                one.label("cannot be set here").help("headers here say who asks, such as `authorization`"),
            );
        }
    }
}

const OWN: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
