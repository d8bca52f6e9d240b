//! What services and their processes are and use.

use std::fs;

use supervisor::{InstanceStatus, ServiceStatus, State};
use telemetry::catalogue::{self as names, Metric};
use telemetry::exposition::Sample;

pub(super) fn gather(services: &[ServiceStatus], out: &mut Vec<Sample>) {
    for service in services {
        let name = service.name.as_str();
        let is_ready = service.state == State::Ready;
        out.push(Sample::number(&names::SERVICE_READY, &[name], f64::from(u8::from(is_ready))));
        for (state, count) in [("wanted", service.wanted), ("ready", service.ready)] {
            out.push(Sample::number(&names::SERVICE_INSTANCES, &[name, state], f64::from(count)));
        }
        service.instances.iter().for_each(|instance| of_instance(name, instance, out));
    }
}

fn of_instance(service: &str, instance: &InstanceStatus, out: &mut Vec<Sample>) {
    let labels = [service, instance.id.as_str()];
    let mut put = |metric: &'static Metric, value: Option<f64>| {
        out.extend(value.map(|value| Sample::number(metric, &labels, value)));
    };
    put(&names::INSTANCE_RESTARTS, Some(f64::from(instance.restarts)));
    let Some(pid) = instance.pid else { return };
    put(&names::INSTANCE_CPU, instance.cpu_ms.map(|ms| ms as f64 / 1e3));
    put(&names::INSTANCE_MEMORY, instance.rss_kib.map(|kib| (kib << 10) as f64));
    put(&names::INSTANCE_DESCRIPTORS, descriptors(&pid.to_string()));
    put(&names::INSTANCE_THREADS, threads(&pid.to_string()));
    put(&names::INSTANCE_UPTIME, Some(instance.uptime_ms as f64 / 1e3));
}

/// Of a process, or `self`; none if it is gone or somebody else's.
pub(super) fn descriptors(process: &str) -> Option<f64> {
    Some(fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as f64)
}

/// Of a process, or `self`.
pub(super) fn threads(process: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process() {
        assert!(descriptors("self").is_some_and(|count| count >= 3.0));
        assert!(threads("self").is_some_and(|count| count >= 1.0));
        assert_eq!((descriptors("0"), threads("none")), (None, None));
    }
}
