//! The command line of `colony sidecar`, which is that of Dapr's `daprd`.
//!
//! Whoever starts a sidecar starts it with flags for things that may not be here: none of them is fatal. So words are
//! looked through before clap sees them: one dash becomes two, a flag that has no effect is handed on by its name alone.

use std::ffi::OsString;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::vec::IntoIter;

use clap::{Args as ClapArgs, CommandFactory};

use serde::{Deserialize, Serialize};

use super::{Args, Command, duration, list, run};

/// Serve the application API to one program: the HTTP and gRPC API of Dapr's sidecar, over Colony's engine
///
/// Takes the flags of `daprd`, also with one dash; a flag without effect here is named in a warning. A binary that is
/// named `daprd` is this command. What lasts is kept in the data folder, or else in .colony of this folder or the nearest
/// above it that has one; all sidecars of a folder share what is in it. Ctrl-C or SIGTERM finishes what is in flight and
/// exits.
#[derive(Clone, Debug, ClapArgs, Serialize, Deserialize)]
#[command(after_help = "colony sidecar --app-id shop\n\
    colony sidecar --app-id shop --app-port 8000 --resources-path ./components --dapr-http-port 3501 --dapr-grpc-port 50002\n\
    curl -X POST localhost:3500/v1.0/state/carts -d '[{\"key\":\"ada\",\"value\":{\"apples\":3}}]'\n\
    curl localhost:3500/v1.0/state/carts/ada")]
pub(crate) struct Sidecar {
    /// The program's name: whose state it is, and what others call it
    #[arg(long, value_name = "ID")]
    pub(crate) app_id: String,
    /// The port that the program listens on, if it does: `healthz` waits for it
    #[arg(long, value_name = "PORT", value_parser = app_port)]
    pub(crate) app_port: Option<AppPort>,
    /// What the program speaks there
    #[arg(long, default_value = "http", value_parser = ["http", "grpc", "https", "grpcs", "h2c"])]
    pub(crate) app_protocol: String,
    /// The program's host
    #[arg(long, default_value = "127.0.0.1", value_name = "HOST")]
    pub(crate) app_channel_address: String,
    /// Most calls into the program at a time; -1: any number
    #[arg(long, default_value_t = -1, value_name = "N", allow_negative_numbers = true)]
    pub(crate) app_max_concurrency: i32,
    /// How long the program may take to say whether it takes a binding's events
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = duration)]
    pub(crate) app_binding_options_timeout: Duration,
    /// Ask the program over and over whether it is well; one that is not gets no calls until it is
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false)]
    pub(crate) enable_app_health_check: bool,
    /// What a program that speaks HTTP is asked: it is well if it answers 2xx
    #[arg(long, default_value = "/healthz", value_name = "PATH")]
    pub(crate) app_health_check_path: String,
    /// Time from one question to the next
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..86_400))]
    pub(crate) app_health_probe_interval: u64,
    /// Longest wait for an answer
    #[arg(long, default_value_t = 500, value_name = "MILLISECONDS")]
    pub(crate) app_health_probe_timeout: u64,
    /// After how many failures in a row it is not well; one answer makes it well again
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) app_health_threshold: u32,
    /// Port of the HTTP API; 0: any that is free
    #[arg(long, default_value_t = 3500, value_name = "PORT")]
    pub(crate) dapr_http_port: u16,
    /// Port of the gRPC API; 0: any that is free
    #[arg(long, default_value_t = 50001, value_name = "PORT")]
    pub(crate) dapr_grpc_port: u16,
    /// Addresses to listen on, with commas between them; none: 127.0.0.1, or with DAPR_API_TOKEN all of this machine
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ADDRESSES")]
    pub(crate) dapr_listen_addresses: String,
    /// Serve both by Unix sockets in this folder, not by ports: dapr-ID-http.socket and dapr-ID-grpc.socket
    #[arg(long, value_name = "DIR")]
    pub(crate) unix_domain_socket: Option<PathBuf>,
    /// Folder with resource files (*.yaml); may be given more than once
    #[arg(long, value_name = "DIR", visible_alias = "components-path")]
    pub(crate) resources_path: Vec<PathBuf>,
    /// How often resources are read anew where their changes are not noticed; 0: never
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) hot_reload_reconcile_interval: u64,
    /// Keep in Colony itself what components would keep in other servers: state, messages, configuration and locks
    #[arg(long)]
    pub(crate) embedded: bool,
    /// Configuration file: which secrets the program may know, which endpoints there are, and who may call it; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Origins of pages that a browser may let ask, with commas between them and `*` for any text; none: CORS is not spoken
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ORIGINS")]
    pub(crate) allowed_origins: String,
    /// Largest body of a request, such as 4Mi
    #[arg(long, default_value = "4Mi", value_name = "SIZE", value_parser = size)]
    pub(crate) max_body_size: usize,
    /// The same in MiB, as it was written formerly
    #[arg(long, value_name = "MIB", hide = true)]
    pub(crate) dapr_http_max_request_size: Option<usize>,
    /// How much of a request's head is read at a time, such as 4Ki; its headers may have 4Ki more
    #[arg(long, default_value = "4Ki", value_name = "SIZE", value_parser = size)]
    pub(crate) read_buffer_size: usize,
    /// The same in KiB, as it was written formerly
    #[arg(long, value_name = "KIB", hide = true)]
    pub(crate) dapr_http_read_buffer_size: Option<usize>,
    /// Longest wait at the end for requests that are being answered
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub(crate) dapr_graceful_shutdown_seconds: u64,
    /// Go on answering for so long after the end was asked for, while `healthz` says that it comes
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = duration)]
    pub(crate) dapr_block_shutdown_duration: Duration,
    /// Print one JSON object a line
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false)]
    pub(crate) log_as_json: bool,
    /// What is printed: error, warn, info or debug
    #[arg(long, default_value = "info", value_name = "LEVEL", value_parser = ["debug", "info", "warn", "error", "fatal"])]
    pub(crate) log_level: String,
    /// Flags that were given and have no effect.
    #[arg(long = IGNORED, hide = true, value_name = "FLAG")]
    pub(crate) ignored: Vec<String>,
}

impl Sidecar {
    /// What these flags mean.
    pub(crate) fn of(flags: Vec<OsString>) -> Result<Sidecar, String> {
        let words = ["colony", NAME].map(OsString::from).into_iter().chain(flags).collect();
        match Args::understood(words) {
            Ok(Args { command: Command::Sidecar(sidecar), .. }) => Ok(*sidecar),
            Ok(_) => Err("no sidecar".to_owned()),
            Err(said) => {
                let text = said.render().to_string();
                let first = text.lines().next().unwrap_or_default();
                Err(first.trim_start_matches("error: ").to_owned())
            }
        }
    }
}

/// None is written -1 or 0.
pub(crate) type AppPort = Option<u16>;

/// How `daprd` is asked what it is.
const VERSIONS: [&str; 4] = ["--version", "-version", "--build-info", "-build-info"];

/// The words of a command line, as clap understands them.
pub(crate) fn understood(words: Vec<OsString>) -> Vec<OsString> {
    let mut words = words;
    if is_called(&words, "daprd") {
        words.insert(1, NAME.into());
    }
    match command_at(&words) {
        Some(at) if words[at] == NAME => {
            let flags = words.split_off(at + 1);
            if flags.iter().any(|flag| VERSIONS.iter().any(|version| flag == version)) {
                words.truncate(1);
                words.push("--version".into());
                return words;
            }
            words.extend(Flags::of(NAME).understood(flags));
            words
        }
        Some(at) if words[at] == run::NAME => {
            let flags = words.split_off(at + 1);
            words.extend(Flags::of(run::NAME).understood_before_a_command(flags));
            words
        }
        Some(at) if is_called(&words, "dapr") => {
            list::as_dapr(&mut words, at);
            words
        }
        _ => words,
    }
}

/// Whether the program was started under this name.
fn is_called(words: &[OsString], name: &str) -> bool {
    words.first().and_then(|path| Path::new(path).file_name()).is_some_and(|called| called == name)
}

/// Where the command stands, behind what is written before all commands.
fn command_at(words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = words.get(at)?.to_str()?;
        at += match word {
            "-C" | "--dir" | "--data" => 2,
            word if word.starts_with('-') => 1,
            _ => return Some(at),
        };
    }
}

/// The flags that have an effect, and whether each has a value of its own.
struct Flags(Vec<(String, bool)>);

impl Flags {
    fn of(name: &str) -> Flags {
        let mut command = Args::command();
        command.build();
        let command = command.find_subcommand(name);
        let known = command.into_iter().flat_map(clap::Command::get_arguments).flat_map(|argument| {
            let values = argument.get_action().takes_values() && !argument.is_require_equals_set();
            let names = argument.get_long_and_visible_aliases().unwrap_or_default();
            names.into_iter().map(move |name| (name.to_owned(), values))
        });
        Flags(known.collect())
    }

    fn understood(&self, words: Vec<OsString>) -> Vec<OsString> {
        let mut out = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            match word.to_str().and_then(flag).map(str::to_owned) {
                Some(flag) => self.take(&flag, &mut words, &mut out),
                None => out.push(word),
            }
        }
        out
    }

    /// The same, where the first word that is no flag begins a command.
    fn understood_before_a_command(&self, words: Vec<OsString>) -> Vec<OsString> {
        let mut out = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next_if(|word| word.to_str().is_some_and(|word| word.starts_with('-'))) {
            let text = word.to_str().unwrap_or_default();
            let mut letters = text.chars().skip(1);
            let short = letters.next().and_then(run::long).filter(|_| letters.next().is_none());
            match short.or_else(|| flag(text)).map(str::to_owned) {
                Some(flag) => self.take(&flag, &mut words, &mut out),
                None if text == "--" => break,
                None => out.push(word),
            }
        }
        if words.peek().is_some() {
            out.push("--".into());
            out.extend(words);
        }
        out
    }

    /// A flag, with the word behind it if that is its value.
    fn take(&self, flag: &str, words: &mut Peekable<IntoIter<OsString>>, out: &mut Vec<OsString>) {
        let name = flag.split('=').next().unwrap_or_default();
        let given = flag.contains('=');
        match self.0.iter().find(|(known, _)| known == name) {
            None => {
                let switch = SWITCHES.contains(&name);
                if !given && !switch {
                    words.next_if(|next| next.to_str().and_then(self::flag).is_none());
                }
                out.push(format!("--{IGNORED}={name}").into());
            }
            // Together, since a value may look like a flag.
            Some((_, true)) if !given => match words.next() {
                Some(value) => {
                    let mut whole = OsString::from(format!("--{flag}="));
                    whole.push(value);
                    out.push(whole);
                }
                None => out.push(format!("--{flag}").into()),
            },
            Some(_) => out.push(format!("--{flag}").into()),
        }
    }
}

/// A flag without its dashes; one dash and one letter is none of these.
fn flag(word: &str) -> Option<&str> {
    word.strip_prefix("--")
        .or_else(|| word.strip_prefix('-').filter(|name| name.len() > 1))
        .filter(|name| !name.is_empty())
}

fn app_port(text: &str) -> Result<AppPort, String> {
    match text.parse::<i32>() {
        Ok(-1 | 0) => Ok(None),
        Ok(port) => u16::try_from(port).map(Some).map_err(|_| "no port: it is from 1 to 65535".to_owned()),
        Err(_) => Err("no port".to_owned()),
    }
}

/// As Kubernetes writes sizes.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "k" => 1_000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        _ => 0,
    };
    let size = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(unit));
    size.filter(|size| *size > 0).ok_or_else(|| "no size; write for example 4Mi or 512Ki".to_owned())
}

/// What the command is called.
const NAME: &str = "sidecar";
/// By which flag those that have no effect are handed on.
const IGNORED: &str = "ignored";
/// Flags of `daprd` without effect here that have no value of their own, so that the word behind them is another's.
const SWITCHES: [&str; 10] = [
    "app-ssl",
    "build-info",
    "disable-builtin-k8s-secret-store",
    "enable-api-logging",
    "enable-metrics",
    "enable-mtls",
    "enable-profiling",
    "kubernetes",
    "wait",
    "scheduler-enabled",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = line.split(' ').map(OsString::from).collect();
        understood(words).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let both = ["colony", "sidecar", "--app-id=shop", "--dapr-http-port=0"];
        assert_eq!(words("colony sidecar -app-id shop --dapr-http-port=0"), both);
        assert_eq!(words("/opt/bin/daprd --app-id shop -dapr-http-port 0")[1..], both[1..]);
    }

    #[test]
    fn it_says_its_version_whatever_else_is_asked() {
        for asked in
            ["daprd --version", "/opt/bin/daprd -version", "colony sidecar --app-id shop --build-info"]
        {
            assert_eq!(words(asked)[1..], ["--version"], "{asked}");
        }
    }

    #[test]
    fn what_has_no_effect_is_named_and_takes_its_value_along() {
        assert_eq!(
            words("colony -C x sidecar --placement-host-address a:1 --enable-mtls --app-id shop --odd"),
            [
                "colony",
                "-C",
                "x",
                "sidecar",
                "--ignored=placement-host-address",
                "--ignored=enable-mtls",
                "--app-id=shop",
                "--ignored=odd"
            ]
        );
        assert_eq!(
            words("daprd --app-max-concurrency -1 --log-as-json --app-id a")[2..],
            ["--app-max-concurrency=-1", "--log-as-json", "--app-id=a"]
        );
    }

    #[test]
    fn other_commands_are_left_alone() {
        assert_eq!(
            words("dapr run -p 3000 --odd 1 -app-id a python app.py --app-id b -k")[1..],
            [
                "run",
                "--app-port=3000",
                "--ignored=odd",
                "--app-id=a",
                "--",
                "python",
                "app.py",
                "--app-id",
                "b",
                "-k"
            ]
        );
        assert_eq!(words("colony run -k -- a -- b")[2..], ["--ignored=kubernetes", "--", "a", "--", "b"]);
        assert_eq!(words("colony load -rate 5"), ["colony", "load", "-rate", "5"]);
        assert_eq!(words("colony"), ["colony"]);
        assert_eq!(words("colony sidecar -h"), ["colony", "sidecar", "-h"]);
    }

    #[test]
    fn what_dapr_has_is_found_under_its_name() {
        assert_eq!(
            words("dapr stop a --app-id b --json")[1..],
            ["stop", "--app-id", "a", "--app-id", "b", "--json"]
        );
        assert_eq!(words("dapr init --slim")[1..], ["dapr-init", "--slim"]);
        assert_eq!(words("dapr list -o json")[1..], ["list", "-o", "json"]);
        assert_eq!(words("colony stop a")[1..], ["stop", "a"]);
    }

    #[test]
    fn sizes_are_as_kubernetes_writes_them() {
        assert_eq!((size("4Mi"), size("64"), size("2k")), (Ok(4 << 20), Ok(64), Ok(2_000)));
        assert!(["", "Mi", "4MB", "-1", "0", "99999999999Gi"].iter().all(|text| size(text).is_err()));
    }
}
