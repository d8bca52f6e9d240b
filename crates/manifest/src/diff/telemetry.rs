//! `telemetry`, written out.

use super::{Lines, none, put, table};
use crate::units::{show_duration, show_size};
use crate::valid::{ExportOtlp, Telemetry};

pub(super) fn telemetry_lines(telemetry: &Telemetry) -> Lines {
    let mut lines = table([
        ("traces", telemetry.traces.name().to_owned()),
        ("window.size", show_size(telemetry.window.bytes)),
        ("window.age", show_duration(telemetry.window.age)),
    ]);
    match &telemetry.otlp {
        None => drop(lines.insert("otlp".to_owned(), none())),
        Some(listeners) => {
            for (key, at) in [("otlp.grpc", listeners.grpc), ("otlp.http", listeners.http)] {
                lines.extend(at.map(|at| (key.to_owned(), at.to_string())));
            }
        }
    }
    if let Some(export) = &telemetry.export {
        lines.insert("export".to_owned(), export.endpoint.clone());
        put(&mut lines, "export.", export_lines(export));
    }
    lines
}

fn export_lines(export: &ExportOtlp) -> Lines {
    let signals: Vec<&str> = export.signals.iter().map(|signal| signal.name()).collect();
    let mut lines = table([
        ("protocol", export.protocol.name().to_owned()),
        ("signals", signals.join(", ")),
        ("compression", export.compression.name().to_owned()),
        ("timeout", show_duration(export.timeout)),
        ("queue", show_size(export.queue_bytes)),
    ]);
    let headers = export.headers.iter().map(|(name, value)| (format!("headers.{name}"), value.clone()));
    lines.extend(headers);
    lines
}
