//! Rules for what may depend on what.

/// Our crates and which of ours each may use. `colony` wires everything and may use all.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("api", &["components", "engine", "policy", "telemetry"]),
    ("certs", &[]),
    (
        "colony",
        &[
            "api",
            "certs",
            "components",
            "console",
            "engine",
            "load",
            "log",
            "machine",
            "manifest",
            "mesh",
            "policy",
            "supervisor",
            "telemetry",
        ],
    ),
    ("components", &["machine"]),
    ("console", &["api", "engine", "machine", "manifest", "mesh", "supervisor", "telemetry"]),
    ("engine", &["log", "machine"]),
    ("load", &[]),
    ("log", &[]),
    ("machine", &[]),
    ("manifest", &[]),
    ("mesh", &["certs", "policy", "telemetry"]),
    ("policy", &[]),
    ("supervisor", &["policy"]),
    ("telemetry", &[]),
];
/// Crates that decide and touch nothing.
pub const PURE: [&str; 3] = ["machine", "manifest", "policy"];
/// What those may use from outside: parsers, drawing and words, nothing that has a clock or a socket.
const PURE_MAY_USE: [&str; 10] = [
    "bytes",
    "jiff",
    "miette",
    "prost",
    "saphyr-parser",
    "schemars",
    "serde",
    "serde_json",
    "strsim",
    "xxhash-rust",
];
/// What is measured inside of a process, for it has no listener of its own.
const BENCH_MAY_USE: [&str; 2] = ["engine", "machine"];
/// What a pure crate must at least ban.
const BANS: [&str; 8] = [
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::fs::read",
    "std::fs::File::open",
    "std::env::var",
    "std::net::TcpStream::connect",
    "std::thread::spawn",
    "std::hash::RandomState::new",
];

/// A dependency as a Cargo.toml declares it.
#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    name: String,
    /// Only tests use it.
    dev: bool,
}

/// Every crate is in the table, and no other.
pub fn known(crates: &[String]) -> Vec<String> {
    let new = crates.iter().filter(|name| !MAY_USE.iter().any(|(known, _)| known == name));
    let gone = MAY_USE.iter().filter(|(known, _)| !crates.iter().any(|name| name == known));
    new.map(|name| format!("crates/{name} is new: say in {} what it may use", file!()))
        .chain(
            gone.map(|(name, _)| format!("crates/{name} is gone: take it out of the table in {}", file!())),
        )
        .collect()
}

/// A crate uses only those of ours that lie below it, and a pure one nothing impure.
pub fn check(name: &str, cargo: &str) -> Vec<String> {
    let allowed = MAY_USE.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, allowed)| allowed);
    let mut complaints = Vec::new();
    for dependency in dependencies(cargo) {
        let used = dependency.name.as_str();
        if is_ours(used) {
            let itself = dependency.dev && used == name;
            if !itself && !allowed.contains(&used) {
                complaints.push(format!(
                    "crates/{name} uses `{used}`, which does not lie below it; let crates/colony bring the two \
                     together, as src/lower does"
                ));
            }
        } else if PURE.contains(&name) && !dependency.dev && !PURE_MAY_USE.contains(&used) {
            complaints.push(format!(
                "crates/{name} is pure and uses `{used}`; if that is pure too, add it to PURE_MAY_USE in {}, else \
                 do that work in the caller",
                file!()
            ));
        }
    }
    complaints
}

/// What stands for a user's program, or for a stranger's measurement, is not built on our insides, but for
/// what has no outside yet.
pub fn outsider(path: &str, cargo: &str) -> Vec<String> {
    let ours = dependencies(cargo).into_iter().filter(|one| !one.dev && is_ours(&one.name));
    let ours = ours.filter(|one| !(path == "bench" && BENCH_MAY_USE.contains(&one.name.as_str())));
    ours.map(|one| format!("{path} uses `{}`; it knows Colony from outside only", one.name)).collect()
}

/// A pure crate bans by lint what would make it impure.
pub fn bans(name: &str, clippy: &str) -> Vec<String> {
    let missing = BANS.iter().filter(|ban| !clippy.contains(&format!("\"{ban}\"")));
    missing.map(|ban| format!("crates/{name}/clippy.toml: ban `{ban}`, the crate is pure")).collect()
}

/// A ban says what to do instead.
pub fn replacements(path: &str, clippy: &str) -> Vec<String> {
    let mute = clippy.lines().filter(|line| {
        let reason = line.split_once("reason = \"").map_or("", |(_, reason)| reason);
        line.trim_start().starts_with("{ path = ") && reason.len() < 10
    });
    mute.map(|line| format!("{path}: `{}`: add a `reason` that names what to use instead", line.trim()))
        .collect()
}

fn is_ours(name: &str) -> bool {
    MAY_USE.iter().any(|(ours, _)| *ours == name)
}

/// Reads the few forms of TOML in which our manifests declare dependencies.
fn dependencies(cargo: &str) -> Vec<Dependency> {
    let mut all = Vec::new();
    let mut section = String::new();
    for line in cargo.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
            // `[dependencies.name]` declares one by its header.
            if let Some((table, name)) = section.rsplit_once('.')
                && is_table(table)
            {
                all.push(Dependency { name: name.to_owned(), dev: table.ends_with("dev-dependencies") });
            }
        } else if is_table(&section) && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', ' ', '=']).next().unwrap_or(line).trim_matches('"');
            // Under another name: what counts is what it is.
            let package = line.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            let name = package.unwrap_or(name).to_owned();
            all.push(Dependency { name, dev: section.ends_with("dev-dependencies") });
        }
    }
    all
}

fn is_table(section: &str) -> bool {
    section.ends_with("dependencies") && !section.starts_with("workspace")
}

mod tests {
    //! What the rules above must complain about, and what they must let pass.

    use super::*;

    #[test]
    fn all_forms_of_a_dependency_are_read() {
        let cargo = "[package]\nname = \"x\"\n\n[dependencies]\na.workspace = true\nb = { version = \"1\" }\nc = \"1\"\n\
                     d = { package = \"tokio\", version = \"1\" }\n# e = \"1\"\n\n[dependencies.f]\nversion = \"1\"\n\n\
                     [target.'cfg(unix)'.dependencies]\ng = \"1\"\n\n[dev-dependencies]\nh = \"1\"\n";
        let read: Vec<(String, bool)> =
            dependencies(cargo).into_iter().map(|one| (one.name, one.dev)).collect();
        let names = [
            ("a", false),
            ("b", false),
            ("c", false),
            ("tokio", false),
            ("f", false),
            ("g", false),
            ("h", true),
        ];
        assert_eq!(read, names.map(|(name, dev)| (name.to_owned(), dev)));
    }

    #[test]
    fn arrows_up_are_refused() {
        assert!(check("mesh", "[dependencies]\npolicy.workspace = true\n").is_empty());
        assert_eq!(check("mesh", "[dependencies]\nsupervisor.workspace = true\n").len(), 1);
        assert_eq!(check("policy", "[dev-dependencies]\nmesh.workspace = true\n").len(), 1);
        assert_eq!(check("telemetry", "[dependencies]\ncolony = { path = \"../colony\" }\n").len(), 1);
    }

    #[test]
    fn impure_dependencies_of_pure_crates_are_refused() {
        for bad in ["tokio = \"1\"", "hyper.workspace = true", "rand = { version = \"0.9\" }"] {
            assert_eq!(check("policy", &format!("[dependencies]\n{bad}\n")).len(), 1, "{bad}");
        }
        assert_eq!(check("manifest", "[target.'cfg(unix)'.dependencies]\nnix = \"1\"\n").len(), 1);
        assert!(check("manifest", "[dependencies]\nserde.workspace = true\n").is_empty());
        assert!(check("policy", "[dev-dependencies]\nproptest.workspace = true\n").is_empty());
    }

    #[test]
    fn crates_that_come_or_go_are_noticed() {
        let mut crates: Vec<String> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert!(known(&crates).is_empty());
        crates[0] = "utils".to_owned();
        assert_eq!(known(&crates).len(), 2);
    }

    #[test]
    fn outsiders_use_none_of_ours_but_in_tests() {
        assert_eq!(outsider("bench", "[dependencies]\nmesh.workspace = true\n").len(), 1);
        assert!(
            outsider("bench", "[dependencies]\naxum = \"1\"\n[dev-dependencies]\nmanifest = \"1\"\n")
                .is_empty()
        );
    }

    #[test]
    fn missing_bans_and_reasons_are_noticed() {
        assert_eq!(bans("policy", "disallowed-methods = []").len(), BANS.len());
        assert_eq!(replacements("clippy.toml", "    { path = \"std::fs::read\" },").len(), 1);
        assert_eq!(
            replacements("clippy.toml", "    { path = \"std::fs::read\", reason = \"no\" },").len(),
            1
        );
        assert!(
            replacements("clippy.toml", "{ path = \"a\", reason = \"take it as an argument\" }").is_empty()
        );
    }
}
