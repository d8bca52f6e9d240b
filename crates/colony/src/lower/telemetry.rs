//! What of telemetry is kept and where it is sent, from the manifest, or from the variables that OpenTelemetry has for it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use manifest::configuration;
use manifest::valid::{self, Compression, ExportProtocol};
use percent_encoding::percent_decode_str;
use telemetry::otlp::Signal;
use telemetry::otlp::export::Config;

use crate::failure::Failure;

/// A collector, by what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector {
    /// Where each signal goes.
    pub(crate) to: Vec<(Signal, String)>,
    pub(crate) protocol: ExportProtocol,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) compression: Compression,
    pub(crate) timeout: Duration,
    pub(crate) queue_bytes: usize,
    /// File of the authorities whose certificates are trusted. None: the public ones, and those of SSL_CERT_FILE.
    pub(crate) roots: Option<String>,
    /// Where that was said.
    pub(crate) said_in: SaidIn,
}

/// Where it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaidIn {
    Manifest,
    /// The file that `--config` names.
    Configuration,
    Environment,
}

/// What a sidecar that is no node's records of requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tracing {
    /// The share of the traces that begin here which is recorded.
    pub(crate) rate: f64,
    /// Where spans are sent; nowhere if there is none, and then they are not made.
    pub(crate) to: Option<Collector>,
    /// What the application is called in its spans, if not by its id.
    pub(crate) service: Option<String>,
}

/// The window of a manifest, in `dir`.
pub(crate) fn window(telemetry: &valid::Telemetry, config: telemetry::Config) -> telemetry::Config {
    telemetry::Config { bytes_max: telemetry.window.bytes, age_max: telemetry.window.age, ..config }
}

/// Where everything is sent: the manifest goes before the environment.
///
/// # Errors
///
/// Which variable is wrong, in a sentence.
pub(crate) fn collector(
    telemetry: &valid::Telemetry,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Collector>, String> {
    match &telemetry.export {
        Some(export) => Ok(Some(of_manifest(export))),
        None => of_environment(|name| variable(name).filter(|value| !value.is_empty())),
    }
}

/// What a sidecar records: its configuration goes before the environment. None: nothing is said anywhere.
///
/// # Errors
///
/// Which variable is wrong, in a sentence.
pub(crate) fn tracing(
    said: Option<&configuration::Tracing>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Tracing>, String> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let of_traces = |name: &str| {
        let rest = name.strip_prefix("OTEL_EXPORTER_OTLP_").filter(|rest| !rest.ends_with("ENDPOINT"));
        let own = rest.and_then(|rest| variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{rest}")));
        own.or_else(|| variable(name))
    };
    let named = said.and_then(|said| said.collector.as_ref());
    let to = match named {
        Some(collector) => Some(of_configuration(collector)),
        None => of_environment(of_traces)?.and_then(only_traces),
    };
    // Dapr's, who records all where the environment names a collector.
    let otherwise = if named.is_none() && to.is_some() { 1.0 } else { configuration::RATE };
    let is_said = said.is_some() || to.is_some();
    Ok(is_said.then(|| Tracing {
        rate: said.and_then(|said| said.rate).unwrap_or(otherwise),
        to: to.map(|to| Collector { queue_bytes: SIDECAR_QUEUE_BYTES, ..to }),
        service: variable("OTEL_SERVICE_NAME"),
    }))
}

fn only_traces(mut collector: Collector) -> Option<Collector> {
    collector.to.retain(|(signal, _)| *signal == Signal::Traces);
    (!collector.to.is_empty()).then_some(collector)
}

fn of_configuration(said: &configuration::Collector) -> Collector {
    let protocol = if said.grpc { ExportProtocol::Grpc } else { ExportProtocol::Http };
    let decoded = |value: &str| percent_decode_str(value).decode_utf8_lossy().into_owned();
    Collector {
        to: vec![(Signal::Traces, target(&said.url, protocol, Signal::Traces))],
        protocol,
        headers: said.headers.iter().map(|(name, value)| (name.clone(), decoded(value))).collect(),
        compression: Compression::None,
        timeout: said.timeout,
        queue_bytes: QUEUE_BYTES,
        roots: None,
        said_in: SaidIn::Configuration,
    }
}

fn of_manifest(export: &valid::ExportOtlp) -> Collector {
    let signals = export.signals.iter().map(|signal| match signal {
        valid::Signal::Traces => Signal::Traces,
        valid::Signal::Logs => Signal::Logs,
        valid::Signal::Metrics => Signal::Metrics,
    });
    Collector {
        to: signals.map(|signal| (signal, target(&export.endpoint, export.protocol, signal))).collect(),
        protocol: export.protocol,
        headers: export.headers.clone(),
        compression: export.compression,
        timeout: export.timeout,
        queue_bytes: usize::try_from(export.queue_bytes).unwrap_or(usize::MAX),
        roots: None,
        said_in: SaidIn::Manifest,
    }
}

/// By the variables of OpenTelemetry's specification of exporters.
fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Collector>, String> {
    let of = |name: &str| variable(&format!("OTEL_EXPORTER_OTLP_{name}"));
    let protocol = match of("PROTOCOL").as_deref() {
        None | Some("http/protobuf") => ExportProtocol::Http,
        Some("grpc") => ExportProtocol::Grpc,
        Some(other) => {
            return Err(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL is {other:?}: http/protobuf and grpc are spoken"
            ));
        }
    };
    let base = of("ENDPOINT");
    let mut to = Vec::new();
    for signal in Signal::ALL {
        let upper = signal.name().to_ascii_uppercase();
        let own = of(&format!("{upper}_ENDPOINT"));
        let is_off = variable(&format!("OTEL_{upper}_EXPORTER")).is_some_and(|exporter| exporter == "none");
        let target = own.or_else(|| base.as_ref().map(|base| target(base, protocol, signal)));
        to.extend(target.filter(|_| !is_off).map(|target| (signal, target)));
    }
    if to.is_empty() {
        return Ok(None);
    }
    Ok(Some(Collector {
        to,
        protocol,
        headers: headers(&of("HEADERS").unwrap_or_default())?,
        compression: match of("COMPRESSION").as_deref() {
            Some("gzip") => Compression::Gzip,
            None | Some("none") => Compression::None,
            Some(other) => return Err(format!("OTEL_EXPORTER_OTLP_COMPRESSION is {other:?}: gzip or none")),
        },
        timeout: match of("TIMEOUT").map(|ms| ms.parse()) {
            None => TIMEOUT,
            Some(Ok(ms @ 1_u64..)) => Duration::from_millis(ms),
            Some(_) => return Err("OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds".to_owned()),
        },
        queue_bytes: QUEUE_BYTES,
        roots: of("CERTIFICATE"),
        said_in: SaidIn::Environment,
    }))
}

/// What sends to a collector; `seed` makes its waits unlike another's.
///
/// # Errors
///
/// What of it cannot be, in a sentence.
pub(crate) fn exporter(collector: &Collector, seed: u64) -> Result<Config, Failure> {
    let wrong = |what: &str| Failure::new(format!("nothing can be sent to the collector: {what}"));
    let mut headers = HeaderMap::new();
    for (name, value) in &collector.headers {
        let name: HeaderName = name.parse().map_err(|_| wrong("a header's name is none"))?;
        let mut value: HeaderValue = value.parse().map_err(|_| wrong("a header's value is none"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let mut to = Vec::new();
    for (signal, target) in &collector.to {
        let uri: Uri = target.parse().map_err(|_| wrong(&format!("{target} is no URL")))?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong(&format!("{target} is no http or https URL")));
        }
        to.push((*signal, uri));
    }
    let tls = components::tls::Set { roots: collector.roots.as_deref(), own: None };
    Ok(Config {
        to,
        grpc: collector.protocol == ExportProtocol::Grpc,
        headers,
        gzip: collector.compression == Compression::Gzip,
        timeout: collector.timeout,
        queue_bytes: collector.queue_bytes,
        tls: components::tls::client(tls).map_err(|why| wrong(&why))?,
        seed,
    })
}

/// Where a signal goes, of a collector at `base`.
fn target(base: &str, protocol: ExportProtocol, signal: Signal) -> String {
    let base = base.trim_end_matches('/');
    match protocol {
        ExportProtocol::Http => format!("{base}{}", signal.path()),
        ExportProtocol::Grpc => base.to_owned(),
    }
}

/// `name=value,name=value`, values written as in URLs.
fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_ascii_lowercase(), value.into_owned()))
    };
    // What is in it may be secret.
    pairs
        .map(|one| {
            pair(one).ok_or_else(|| "OTEL_EXPORTER_OTLP_HEADERS is not of the form name=value,...".to_owned())
        })
        .collect()
}

/// As in the manifest.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Likewise.
const QUEUE_BYTES: usize = 16 << 20;
/// Most bytes of spans that wait in a sidecar, of which a machine has many.
const SIDECAR_QUEUE_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Collector>, String> {
        of_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_base_is_for_all_and_an_own_one_is_taken_as_it_is() {
        let collector = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:9/in"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=a%20b, tenant=shop"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ]);
        let collector = collector.unwrap().unwrap();
        let to = [(Signal::Traces, "http://collector:4318/v1/traces"), (Signal::Logs, "http://logs:9/in")];
        assert_eq!(collector.to, to.map(|(signal, to)| (signal, to.to_owned())));
        let headers = [("x-key", "a b"), ("tenant", "shop")];
        assert_eq!(collector.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(collector.timeout, Duration::from_millis(2_500));
    }

    #[test]
    fn grpc_has_paths_of_its_own() {
        let grpc =
            [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")];
        let collector = of(&grpc).unwrap().unwrap();
        assert!(collector.to.iter().all(|(_, to)| to == "http://c:4317"));
    }

    fn sidecar(said: Option<&configuration::Tracing>, variables: &[(&str, &str)]) -> Option<Tracing> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        tracing(said, variable).unwrap()
    }

    #[test]
    fn a_sidecar_sends_traces_alone_and_by_what_is_said_of_them() {
        assert_eq!(sidecar(None, &[("OTEL_SERVICE_NAME", "shop")]), None);
        let all = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_SERVICE_NAME", "shop"),
        ];
        let told = sidecar(None, &all).unwrap();
        assert_eq!((told.rate, told.service.as_deref()), (1.0, Some("shop")));
        assert_eq!(told.to.unwrap().to, [(Signal::Traces, "http://c:4317".to_owned())]);
        let other = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:9/in")];
        assert_eq!(sidecar(None, &other), None, "which are no spans");
        let none = [all[0], ("OTEL_TRACES_EXPORTER", "none")];
        assert_eq!(sidecar(None, &none), None);
    }

    #[test]
    fn a_configuration_goes_before_the_environment() {
        let text = |more: &str| format!("kind: Configuration\nspec: {{ tracing: {{ {more} }} }}");
        let said = |more: &str| {
            let file = manifest::Source { name: "c.yaml".to_owned(), text: text(more) };
            manifest::configuration(&[file]).tracing.unwrap()
        };
        let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://e:4318")];
        let named =
            said("otel: { endpointAddress: 'c:4318', isSecure: false, protocol: http, headers: 'k=a%20b' }");
        let told = sidecar(Some(&named), &environment).unwrap();
        assert_eq!(told.rate, configuration::RATE);
        let to = told.to.unwrap();
        assert_eq!(to.to, [(Signal::Traces, "http://c:4318/v1/traces".to_owned())]);
        assert_eq!(to.headers, [("k".to_owned(), "a b".to_owned())]);
        let share = said("samplingRate: '0.5'");
        let told = sidecar(Some(&share), &environment).unwrap();
        assert_eq!((told.rate, told.to.is_some()), (0.5, true));
        assert_eq!(sidecar(Some(&share), &[]).unwrap().to, None, "then traces are begun and not recorded");
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_is_nothing() {
        assert_eq!(of(&[]), Ok(None));
        let with =
            |name, value| of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"), (name, value)]).unwrap_err();
        assert!(with("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json").contains("http/json"));
        assert!(with("OTEL_EXPORTER_OTLP_TIMEOUT", "10s").contains("milliseconds"));
        assert!(!with("OTEL_EXPORTER_OTLP_HEADERS", "secret").contains("secret"));
    }
}
