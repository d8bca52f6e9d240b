//! The command lines that use the application API: one verb each, for people at a terminal and for scripts.
//!
//! `publish` and `invoke` also take the flags of Dapr's command line, so that under its name they are its commands; only its `--data`
//! is called `--body` here, for `--data` is where a node keeps what belongs to it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::duration;

/// Which application is asked for, and how it is told.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Through {
    /// In the name of this application, of those that `colony list` tells; none: the only one there is, or whoever
    /// listens on $DAPR_HTTP_PORT
    #[arg(short, long, value_name = "ID", alias = "publish-app-id", short_alias = 'i')]
    pub(crate) app_id: Option<String>,
    /// Ask who listens there: HOST:PORT, http://HOST:PORT, or the path of a Unix socket
    #[arg(long, value_name = "ADDRESS", conflicts_with = "unix_domain_socket")]
    pub(crate) address: Option<String>,
    /// The folder with the socket of the application
    #[arg(short, long, value_name = "DIR", hide = true, requires = "app_id")]
    pub(crate) unix_domain_socket: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is sent.
#[derive(Debug, ClapArgs)]
pub(crate) struct Payload {
    /// What is sent: a text, @FILE for what is in a file, or - for standard input
    #[arg(value_name = "DATA", allow_negative_numbers = true)]
    pub(crate) payload: Option<String>,
    /// What it is; none: application/json if it is JSON, else text/plain, or application/octet-stream if it is no text
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

/// What is sent, by word or by the flags of Dapr's command line.
#[derive(Debug, ClapArgs)]
pub(crate) struct AnyPayload {
    #[command(flatten)]
    pub(crate) word: Payload,
    /// The same as DATA, and always as it stands
    #[arg(short = 'd', long, value_name = "TEXT", conflicts_with = "payload", allow_hyphen_values = true)]
    pub(crate) body: Option<String>,
    /// What is in this file, in place of DATA
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with_all = ["payload", "body"])]
    pub(crate) data_file: Option<PathBuf>,
}

/// What a write is done once under.
#[derive(Debug, ClapArgs)]
pub(crate) struct Once {
    /// Do it once: asked again under the same key within a day, it is not done again
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Publish a message to a topic
///
/// Whoever subscribes to the topic gets it. Done means that it is on the disk. Under the name `dapr` it takes the flags of `dapr
/// publish`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony publish orders '{\"apples\":3}'\n\
    colony publish orders @order.json --pubsub messages --key ada\n\
    jq .order log.json | colony publish orders -")]
pub(crate) struct Publish {
    /// The topic
    #[arg(value_name = "TOPIC", required_unless_present = "named", conflicts_with = "named")]
    pub(crate) topic: Option<String>,
    /// The same, as Dapr has it
    #[arg(short = 't', long = "topic", id = "named", value_name = "TOPIC", hide = true)]
    pub(crate) named: Option<String>,
    #[command(flatten)]
    pub(crate) what: AnyPayload,
    /// The pubsub that the topic belongs to
    #[arg(short, long, value_name = "NAME", default_value = "pubsub")]
    pub(crate) pubsub: String,
    /// What it is about: messages of one key are delivered in order, one at a time
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// For how long it is of use, such as 10s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Option<Duration>,
    /// Nobody gets it before, such as 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// Publish it as it is, without an envelope around it
    #[arg(long)]
    pub(crate) raw: bool,
    /// Metadata, as NAME=VALUE or a JSON object; may be given more than once
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) metadata: Vec<String>,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Send an item to a queue
///
/// Somebody gets it to work on it: `colony receive`, or the program that the queue is pushed to. A queue begins with its first item. Done means that it is
/// on the disk.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony send to-pack '{\"order\":1}'\n\
    colony send to-pack @order.json --priority 9 --delay 30s --key ada")]
pub(crate) struct Send {
    /// The queue
    pub(crate) queue: String,
    #[command(flatten)]
    pub(crate) what: Payload,
    /// From 0 to 9, the highest; none: 4
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<u8>,
    /// Nobody gets it before, such as 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// After that it is not handed out any more
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Option<Duration>,
    /// What limits of a key go by, such as a customer
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// An item that was sent with the same one within the queue's window is not sent again
    #[arg(long, value_name = "ID")]
    pub(crate) dedup_id: Option<String>,
    /// A header of the item, as NAME=VALUE; may be given more than once
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) metadata: Vec<String>,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Receive items of a queue, print them, and have them done
///
/// Prints what was sent, an item a line, and acknowledges the items once they are printed. If that fails, or with --no-ack, another gets
/// them when their lease ends. If there is nothing, nothing is printed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony receive to-pack\n\
    colony receive to-pack --max 100 --wait 20s | while read -r order; do echo \"$order\"; done\n\
    colony receive to-pack --peek --state dead --json")]
pub(crate) struct Receive {
    /// The queue
    pub(crate) queue: String,
    /// Most items
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    pub(crate) max: u32,
    /// Wait for so long if there is nothing, such as 20s; up to 5m
    #[arg(short, long, value_name = "TIME", value_parser = duration, conflicts_with = "peek")]
    pub(crate) wait: Option<Duration>,
    /// Don't acknowledge them: they are with us until their lease ends, and then another gets them. --json has their receipts
    #[arg(long, conflicts_with = "peek")]
    pub(crate) no_ack: bool,
    /// For how long they are with us; none: as the queue has it
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "peek")]
    pub(crate) lease: Option<Duration>,
    /// Only look: nothing is handed out, and nothing changes
    #[arg(long)]
    pub(crate) peek: bool,
    /// With --peek: items that stand there
    #[arg(long, value_enum, value_name = "STATE", default_value_t = Standing::Ready, requires = "peek")]
    pub(crate) state: Standing,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Where items of a queue stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Standing {
    Ready,
    Delayed,
    Blocked,
    Leased,
    Dead,
}

/// Read and write items of a state store
///
/// The items are those of one application, unless the store says otherwise: --app-id names it.
#[derive(Debug, ClapArgs)]
pub(crate) struct State {
    #[command(subcommand)]
    pub(crate) what: StateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    List(ListState),
    Get(GetState),
    Set(SetState),
    Delete(DeleteState),
}

/// List the stores of a node, or the items of one, of all applications
///
/// An item a line: key, scope (as a rule the application whose it is), bytes and ETag. It asks the node of `colony up`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony state list\n\
    colony state list carts --prefix ada\n\
    colony state list carts --json | jq -r '.items[].key'")]
pub(crate) struct ListState {
    /// The store
    pub(crate) store: Option<String>,
    /// Only items of this scope
    #[arg(long, requires = "store")]
    pub(crate) scope: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

/// Which of many are listed.
#[derive(Debug, ClapArgs)]
pub(crate) struct Page {
    /// Only those that begin so
    #[arg(long, requires = "store", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// Only what comes after that: the `next` of an answer in JSON
    #[arg(long, requires = "store", value_name = "NEXT")]
    pub(crate) after: Option<String>,
    /// Most of them, up to 500
    #[arg(short = 'n', long, requires = "store", value_name = "N")]
    pub(crate) max: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the value of an item, as it was written; exit 1 if there is none
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony state get carts ada")]
pub(crate) struct GetState {
    /// The store
    pub(crate) store: String,
    /// The item's key
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Write an item
///
/// What is JSON is kept as such, anything else as a text.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony state set carts ada '{\"apples\":3}'\n\
    colony state set carts ada @cart.json --ttl 1h\n\
    colony state set carts ada '{\"apples\":4}' --etag 7")]
pub(crate) struct SetState {
    /// The store
    pub(crate) store: String,
    /// The item's key
    pub(crate) key: String,
    /// Its value: JSON or a text, @FILE for what is in a file, or - for standard input
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    pub(crate) value: String,
    /// Take the value as a text, even if it is JSON
    #[arg(long)]
    pub(crate) text: bool,
    /// Only if the item has this ETag, as `colony state get --json` tells it
    #[arg(long)]
    pub(crate) etag: Option<String>,
    /// Only if there is no such item
    #[arg(long, conflicts_with = "etag")]
    pub(crate) new: bool,
    /// It is gone after that, such as 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Option<Duration>,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Delete an item; that there is none is as good
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony state delete carts ada")]
pub(crate) struct DeleteState {
    /// The store
    pub(crate) store: String,
    /// The item's key
    pub(crate) key: String,
    /// Only if the item has this ETag
    #[arg(long)]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Append to event streams, read and follow them
#[derive(Debug, ClapArgs)]
pub(crate) struct Stream {
    #[command(subcommand)]
    pub(crate) what: StreamCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    List(ListStreams),
    Append(AppendStream),
    Read(ReadStream),
    Projection(StreamProjection),
}

/// List the stores of streams of a node with their projections, or the streams of one
///
/// A stream a line: name, version and how many of its events are kept. It asks the node of `colony up`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony stream list\n\
    colony stream list facts --prefix order-")]
pub(crate) struct ListStreams {
    /// The store of streams
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

/// Append an event to a stream
///
/// A stream begins with its first event. Its store has to be there: --create makes it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony stream append facts order-1 placed '{\"apples\":3}' --create\n\
    colony stream append facts order-1 paid --expected 1")]
pub(crate) struct AppendStream {
    /// The store of streams
    pub(crate) store: String,
    /// The stream
    pub(crate) stream: String,
    /// What has happened
    #[arg(value_name = "TYPE")]
    pub(crate) kind: String,
    #[command(flatten)]
    pub(crate) what: Payload,
    /// What must be so: a version, noStream, streamExists, or any
    #[arg(short, long, value_name = "VERSION")]
    pub(crate) expected: Option<String>,
    /// By which it is known if it is appended again under the same expectation
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// A text beside it, as NAME=VALUE; may be given more than once
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Make the store, if there is none
    #[arg(long)]
    pub(crate) create: bool,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Print up to where a projection has read, or set it
///
/// An application moves it on with the state that it saves, in one transaction.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony stream projection facts by-customer --state views\n\
    colony stream projection facts by-customer --state views --set start")]
pub(crate) struct StreamProjection {
    /// The store of streams that it reads
    pub(crate) store: String,
    /// Its name
    pub(crate) projection: String,
    /// The store of state that it saves to
    #[arg(long, value_name = "STORE")]
    pub(crate) state: String,
    /// Set it there, wherever it is: start, or a position
    #[arg(long, value_name = "POSITION")]
    pub(crate) set: Option<String>,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Print the events of a stream, or follow one or all
///
/// An event a line: stream, version, type and data. With --json an object for all, or with --follow one a line.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony stream read facts order-1\n\
    colony stream read facts order-1 --backwards --max 1\n\
    colony stream read facts --follow --from now --type paid")]
pub(crate) struct ReadStream {
    /// The store of streams
    pub(crate) store: String,
    /// The stream; with --follow none is all of them
    #[arg(required_unless_present = "follow")]
    pub(crate) stream: Option<String>,
    /// Where to begin: a version; with --follow also start, now, or the `cursor` of an event
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<String>,
    /// Most events
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "follow")]
    pub(crate) max: Option<u32>,
    /// The last first
    #[arg(long, conflicts_with = "follow")]
    pub(crate) backwards: bool,
    /// Only events of this type; may be given more than once
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kinds: Vec<String>,
    /// Go on as events come, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// List, schedule and delete the jobs of an application
#[derive(Debug, ClapArgs)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    pub(crate) what: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Show all jobs of the application
    List(Through),
    Get(OneJob),
    Schedule(ScheduleJob),
    Delete(DeleteJob),
}

/// Print a job; exit 1 if there is none
#[derive(Debug, ClapArgs)]
pub(crate) struct OneJob {
    /// The job's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Delete a job; that there is none is as good
#[derive(Debug, ClapArgs)]
pub(crate) struct DeleteJob {
    /// The job's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Have the application called at a time, or again and again
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony jobs schedule remind '{\"whom\":\"ada\"}' --due 10m\n\
    colony jobs schedule backup --schedule @daily\n\
    colony jobs schedule poll --schedule '@every 30s' --repeats 10 --overwrite")]
pub(crate) struct ScheduleJob {
    /// The job's name
    pub(crate) name: String,
    /// What the application gets with each run: a text, @FILE for what is in a file, or - for standard input
    #[arg(value_name = "DATA", allow_negative_numbers = true)]
    pub(crate) payload: Option<String>,
    /// When, again and again: '@every 30s', @daily, or as cron has it
    #[arg(short, long, value_name = "SCHEDULE", required_unless_present = "due")]
    pub(crate) schedule: Option<String>,
    /// When, for the first time: from now on, such as 10m, or a time such as 2027-01-31T10:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) due: Option<String>,
    /// How many runs
    #[arg(long, value_name = "N")]
    pub(crate) repeats: Option<u32>,
    /// No run after that: from now on, or a time
    #[arg(long, value_name = "WHEN")]
    pub(crate) ttl: Option<String>,
    /// In place of a job of that name
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) once: Once,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Call a method of an application and print what it answers
///
/// The exit code is 1 if that is no success. Under the name `dapr` it takes the flags of `dapr invoke`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony invoke checkout -m orders --verb GET\n\
    colony invoke checkout -m 'orders?dry=1' '{\"apples\":3}'")]
pub(crate) struct Invoke {
    /// The application that is called
    #[arg(value_name = "APP_ID", required_unless_present = "named", conflicts_with = "named")]
    pub(crate) app_id: Option<String>,
    /// The same, as Dapr has it
    #[arg(short = 'a', long = "app-id", id = "named", value_name = "APP_ID", hide = true)]
    pub(crate) named: Option<String>,
    /// The path that is called, with its query
    #[arg(short, long, value_name = "METHOD")]
    pub(crate) method: String,
    #[command(flatten)]
    pub(crate) what: AnyPayload,
    /// The method of HTTP
    #[arg(short, long, value_name = "VERB", default_value = "POST")]
    pub(crate) verb: String,
    /// A header; may be given more than once
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// In the name of this application, of those that `colony list` tells; none: the one that is called, if it is
    /// there, or else as for the other verbs
    #[arg(long, value_name = "ID")]
    pub(crate) from: Option<String>,
    /// Ask who listens there: HOST:PORT, http://HOST:PORT, or the path of a Unix socket
    #[arg(long, value_name = "ADDRESS", conflicts_with = "unix_domain_socket")]
    pub(crate) address: Option<String>,
    /// The folder with the socket of the application
    #[arg(short, long, value_name = "DIR", hide = true)]
    pub(crate) unix_domain_socket: Option<PathBuf>,
    /// Print JSON: status, headers and data
    #[arg(long)]
    pub(crate) json: bool,
}

/// A verb of the application API.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Publish(Box<Publish>),
    Send(Box<Send>),
    Receive(Box<Receive>),
    State(Box<State>),
    Stream(Box<Stream>),
    Jobs(Box<Jobs>),
    Topics(Box<Topics>),
    Invoke(Box<Invoke>),
}

impl Verb {
    pub(crate) fn json(&self) -> bool {
        match self {
            Verb::Publish(args) => args.through.json,
            Verb::Send(args) => args.through.json,
            Verb::Receive(args) => args.through.json,
            Verb::State(args) => match &args.what {
                StateCommand::List(args) => args.page.json,
                StateCommand::Get(args) => args.through.json,
                StateCommand::Set(args) => args.through.json,
                StateCommand::Delete(args) => args.through.json,
            },
            Verb::Stream(args) => match &args.what {
                StreamCommand::List(args) => args.page.json,
                StreamCommand::Append(args) => args.through.json,
                StreamCommand::Read(args) => args.through.json,
                StreamCommand::Projection(args) => args.through.json,
            },
            Verb::Jobs(args) => match &args.what {
                JobsCommand::List(args) => args.json,
                JobsCommand::Get(args) => args.through.json,
                JobsCommand::Schedule(args) => args.through.json,
                JobsCommand::Delete(args) => args.through.json,
            },
            Verb::Topics(args) => match &args.what {
                TopicsCommand::List(args) => args.through.json,
                TopicsCommand::Lag(args) => args.through.json,
                TopicsCommand::Seek(args) => args.through.json,
                TopicsCommand::Failed(args) => args.through.json,
                TopicsCommand::Resolve(args) => args.through.json,
            },
            Verb::Invoke(args) => args.json,
        }
    }
}

/// Whether Dapr's command line has a verb of this name, whose flag `--data` is one of ours otherwise.
pub(super) fn is_daprs(verb: &std::ffi::OsStr) -> bool {
    verb == "publish" || verb == "invoke"
}

/// A flag of such a verb, as it is called here.
pub(super) fn as_ours(word: &std::ffi::OsStr) -> Option<String> {
    let rest = word.to_str()?.strip_prefix("--data")?;
    (rest.is_empty() || rest.starts_with('=')).then(|| format!("--body{rest}"))
}

/// Look at topics, move groups, and decide what becomes of messages that fail
#[derive(Debug, ClapArgs)]
pub(crate) struct Topics {
    #[command(subcommand)]
    pub(crate) what: TopicsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    List(ListTopics),
    Lag(LagTopics),
    Seek(SeekTopics),
    Failed(FailedTopics),
    Resolve(ResolveTopics),
}

/// Show the topics of a pubsub, and how far its groups are behind
#[derive(Debug, ClapArgs)]
pub(crate) struct ListTopics {
    /// The pubsub
    #[arg(short, long, value_name = "NAME", default_value = "pubsub")]
    pub(crate) pubsub: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Show how far the groups of a topic are behind, by partition
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony topics lag orders")]
pub(crate) struct LagTopics {
    /// The topic
    pub(crate) topic: String,
    /// The pubsub that it belongs to
    #[arg(short, long, value_name = "NAME", default_value = "pubsub")]
    pub(crate) pubsub: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Move a group: back to have messages again, or forth to leave some out
///
/// What it had set aside since they failed is forgotten: it begins anew there.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony topics seek orders shop --to start\n\
    colony topics seek orders shop --time 2027-01-31T10:00:00Z\n\
    colony topics seek orders shop --partition 3 --offset 120")]
pub(crate) struct SeekTopics {
    /// The topic
    pub(crate) topic: String,
    /// The group, which as a rule is called as its application
    pub(crate) group: String,
    /// Where to
    #[arg(long, value_enum, value_name = "start or end", hide_possible_values = true, required_unless_present_any = ["time", "offset"])]
    pub(crate) to: Option<End>,
    /// To the first message of then or later, such as 2027-01-31T10:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "to")]
    pub(crate) time: Option<String>,
    /// To this offset of one partition
    #[arg(long, value_name = "N", conflicts_with_all = ["to", "time"], requires = "partition")]
    pub(crate) offset: Option<u64>,
    /// Which
    #[arg(long, value_name = "N", requires = "offset")]
    pub(crate) partition: Option<u32>,
    /// The pubsub that the topic belongs to
    #[arg(short, long, value_name = "NAME", default_value = "pubsub")]
    pub(crate) pubsub: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// The ends of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// The first messages that are kept.
    Start,
    /// Behind the last.
    End,
}

/// Show the messages that a group has failed at, and why
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony topics failed orders shop")]
pub(crate) struct FailedTopics {
    /// The topic
    pub(crate) topic: String,
    /// The group
    pub(crate) group: String,
    /// Most messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) max: u32,
    /// The pubsub that the topic belongs to
    #[arg(short, long, value_name = "NAME", default_value = "pubsub")]
    pub(crate) pubsub: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// Decide what becomes of messages that a group has failed at
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony topics resolve orders shop retry\n\
    colony topics resolve orders shop skip --key ada")]
pub(crate) struct ResolveTopics {
    /// The topic
    pub(crate) topic: String,
    /// The group
    pub(crate) group: String,
    /// They are delivered again, left out, or become dead letters
    #[arg(value_enum, value_name = "retry, skip or dead-letter", hide_possible_values = true)]
    pub(crate) action: Resolution,
    /// Only those of this key
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// The pubsub that the topic belongs to
    #[arg(short, long, value_name = "NAME", default_value = "pubsub")]
    pub(crate) pubsub: String,
    #[command(flatten)]
    pub(crate) through: Through,
}

/// What can become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resolution {
    Retry,
    Skip,
    DeadLetter,
}
