//! What the measurements were made on, in words that another reader understands.

use serde::Serialize;

/// The machine, by its hardware and not by its name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// Short, for file names: `epyc-2core`.
    pub host: String,
    /// The CPU's model as it calls itself.
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
}

/// Looks at this machine; `host` overrides the name made from its CPU.
pub fn describe(host: Option<String>) -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu =
        field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    Machine {
        host: host.unwrap_or_else(|| short_name(&cpu, cores)),
        cores,
        memory_gib: (memory_kib + GIB_KIB / 2) / GIB_KIB,
        kernel: format!("Linux {}", numbers(&read("/proc/sys/kernel/osrelease"))),
        cpu,
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `6.18.44-cloud-amd64` is 6.18.44: what a distribution adds says little to others.
fn numbers(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.');
    &release[..end.unwrap_or(release.len())]
}

fn short_name(cpu: &str, cores: usize) -> String {
    let lower = cpu.to_lowercase().replace("(r)", "").replace("(tm)", "");
    let words = lower.split('@').next().unwrap_or_default().split_whitespace();
    let telling = words.filter(|word| !NOISE.contains(word) && !word.ends_with("-core"));
    let name: Vec<&str> = telling.take(3).collect();
    format!("{}-{cores}core", if name.is_empty() { "cpu".to_owned() } else { name.join("-") })
}

const NOISE: [&str; 6] = ["amd", "intel", "processor", "cpu", "virtual", "gen"];
const GIB_KIB: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_its_number() {
        assert_eq!(numbers("6.18.44-cloud-amd64\n"), "6.18.44");
    }

    #[test]
    fn names_are_short_and_tell_the_hardware() {
        assert_eq!(short_name("AMD EPYC", 2), "epyc-2core");
        assert_eq!(short_name("AMD EPYC 7763 64-Core Processor", 8), "epyc-7763-8core");
        assert_eq!(
            short_name("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 4),
            "xeon-platinum-8375c-4core"
        );
        assert_eq!(short_name("", 1), "cpu-1core");
    }
}
