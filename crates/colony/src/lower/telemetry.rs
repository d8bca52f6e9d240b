//! What of telemetry is kept and where it is sent, from the manifest, or from the variables that OpenTelemetry has for it.

use std::time::Duration;

use manifest::valid::{self, Compression, ExportProtocol};
use percent_encoding::percent_decode_str;
use telemetry::otlp::Signal;

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
    Environment,
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
