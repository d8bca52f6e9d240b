//! `colony trace` and `colony logs`, as clap reads them.

use clap::Args as ClapArgs;

/// Show the traces that requests have left, or one of them as a drawing
///
/// Without ID, the newest that have all that is asked for: one span of them has it. Kept are errors, what was slow, and a fair share of the
/// rest, also of when the system was up before; from a system that is down they are read from its data folder.
#[derive(Debug, ClapArgs)]
pub(crate) struct Trace {
    /// The trace: 32 hexadecimal digits, as the list shows them
    #[arg(conflicts_with_all = ["service", "name", "error", "slower", "faster", "since", "attribute", "text", "limit"])]
    pub(crate) id: Option<String>,
    /// Only with a span of this service
    #[arg(short, long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Only with a span of which the name or the route has this in it
    #[arg(short, long, visible_alias = "route", value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Only with a span that failed
    #[arg(short, long)]
    pub(crate) error: bool,
    /// Only those that took so long at least, such as 300ms: their first span did, as the list says; with --service or --name, one of theirs
    #[arg(long, value_name = "TIME")]
    pub(crate) slower: Option<String>,
    /// Only those that took so long at most; likewise
    #[arg(long, value_name = "TIME")]
    pub(crate) faster: Option<String>,
    /// Only those that began so long ago at most, such as 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only with a span that has this attribute: k=v is v, k~v has v in it, k is there; may be given more than once
    #[arg(short, long, value_name = "K=V")]
    pub(crate) attribute: Vec<String>,
    /// Only with a span that has this anywhere in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Most traces that are shown, up to 1000
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
    /// Draw all that a request has set off, which may go on long after its answer, rather than as far as the request
    #[arg(long, requires = "id")]
    pub(crate) whole: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Logs {
    /// Only this service
    pub(crate) service: Option<String>,
    /// Only this instance, such as checkout-1
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,
    /// Only what has this in it, in capitals or not
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Go on as lines come, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Lines from before now [default: 100; with --trace or --since all that there are]
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) lines: Option<usize>,
    /// Only what was logged in this trace
    #[arg(long, value_name = "ID", conflicts_with = "follow")]
    pub(crate) trace: Option<String>,
    /// Only what was logged so long ago at most, such as 10m; also when the system was up before
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub(crate) since: Option<String>,
    /// Only what matters so much at least: trace, debug, info, warn, error or fatal
    #[arg(short, long, value_name = "LEVEL", value_parser = level)]
    pub(crate) level: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

fn level(text: &str) -> Result<String, String> {
    let level = text.to_ascii_lowercase();
    telemetry::query::parameters::severity(&level).map(|_| level)
}
