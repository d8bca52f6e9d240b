//! The command line of `colony list`, and what `dapr` has besides.

use clap::{Args as ClapArgs, ValueEnum};

use super::verbs;

/// Show the applications that are served on this machine
///
/// By `colony run` and `colony sidecar`, in all data folders, or in the one that is named by --data. `colony stop --app-id ID` ends one.
#[derive(Debug, ClapArgs)]
pub(crate) struct List {
    /// How they are shown
    #[arg(short, long, value_enum, default_value_t = ListAs::Table, value_name = "FORM")]
    pub(crate) output: ListAs,
    /// Print JSON, as `--output json`
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListAs {
    /// For people
    Table,
    /// A JSON array
    Json,
    /// A YAML list
    Yaml,
}

/// A command that does nothing, whatever is said to it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Ignored {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// What Dapr's command line calls otherwise.
pub(super) fn as_dapr(words: &mut Vec<std::ffi::OsString>, at: usize) {
    if words[at] == "init" || words[at] == "uninstall" {
        words[at] = "dapr-init".into();
    } else if verbs::is_daprs(&words[at]) {
        for word in &mut words[at + 1..] {
            if let Some(flag) = verbs::as_ours(word) {
                *word = flag.into();
            }
        }
    } else if words[at] == "stop" {
        let given = words.split_off(at + 1);
        let mut given = given.into_iter();
        while let Some(word) = given.next() {
            let is_flag = word.to_str().is_some_and(|word| word.starts_with('-'));
            if word == "-a" || word == "--app-id" {
                words.push("--app-id".into());
                words.extend(given.next());
            } else if is_flag {
                words.push(word);
            } else {
                words.push("--app-id".into());
                words.push(word);
            }
        }
    }
}
