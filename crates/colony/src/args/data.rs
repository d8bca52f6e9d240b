//! The command line of `colony data`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Subcommand, ValueEnum};

/// Look into a folder of durable data, back it up, check it, mend it, or try a disk
///
/// The folder is one that an engine keeps its log and its state in (`log` and `store`). Only one process has it open at
/// a time, so end what uses it first; only a backup is made while it runs.
#[derive(Debug, ClapArgs)]
pub(crate) struct Data {
    #[command(subcommand)]
    pub(crate) what: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Show what a folder holds: shards, log and store, and how much there is of what
    Inspect(DataFolder),
    Backup(BackupData),
    Restore(RestoreData),
    Verify(DataFolder),
    Repair(RepairData),
    Export(ExportData),
    Exercise(ExerciseData),
}

impl DataCommand {
    pub(crate) fn json(&self) -> bool {
        match self {
            DataCommand::Inspect(args) | DataCommand::Verify(args) => args.json,
            DataCommand::Backup(args) => args.json,
            DataCommand::Restore(args) => args.json,
            DataCommand::Repair(args) => args.json,
            DataCommand::Export(args) => args.json,
            DataCommand::Exercise(args) => args.json,
        }
    }
}

/// Write all that a folder holds into one file, also while a process works on it
///
/// If a process has the folder open, that is asked for what it holds at this moment and goes on
/// working; if none has, the folder is read. All that was acknowledged before is in the backup, with jobs, locks and
/// timers. FILE gets its name when all is in it and on the disk, in place of one that may be there; until then it is
/// FILE.partial. Only its owner may read it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony data backup /srv/shop/data monday.backup\n\
    colony data backup /srv/shop/data - | zstd | ssh HOST 'cat > monday.backup.zst'")]
pub(crate) struct BackupData {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The file to be written; - for standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a new folder from a backup
///
/// The folder is empty or not there yet. All of it is read again before anything opens it; what
/// ends before leaves nothing, or, if it was killed, a folder that nothing opens and the next restore begins anew.
///
/// What happened after the backup is gone, and what others remember of it fits no more: offsets that a consumer keeps
/// elsewhere, for instance. ETags and fencing tokens that were given since are never given again.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony data restore monday.backup /srv/shop/restored\n\
    ssh HOST 'zstdcat monday.backup.zst' | colony data restore - /srv/shop/restored")]
pub(crate) struct RestoreData {
    /// A file that `colony data backup` has made; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder that is made
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Read everything in a folder, and say what is damaged; exit 0 if nothing is
///
/// Every record of the log, every pair of the store, and that the two fit together: that each entry can be understood,
/// and each payload that the state points to is there. Nothing is written to the folder.
#[derive(Debug, ClapArgs)]
pub(crate) struct DataFolder {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a damaged folder open again, by giving up as little as can be told
///
/// Says what would be done and what is lost by it, by name, and writes nothing unless --apply is given. A damaged entry
/// that the last checkpoint has is stepped over. One that it has not ends the log there, for all shards, and needs --give-up:
/// what is left is a state that the system really was in. Nothing is deleted: what is given up stays beside, in files
/// that end with .cut. Copy the folder first.
#[derive(Debug, ClapArgs)]
pub(crate) struct RepairData {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Do it
    #[arg(long)]
    pub(crate) apply: bool,
    /// With --apply: how many entries may be given up that were acknowledged and are in no state; without --apply it is
    /// said how many that are
    #[arg(long, value_name = "ENTRIES", default_value_t = 0, requires = "apply")]
    pub(crate) give_up: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print what a folder holds, a JSON object a line
///
/// Items, messages, work, events, configuration, jobs, locks that are held, timers and settings; what has expired is left
/// out. Nothing is written to the folder. Bytes that are text are printed as such, others in base64 under a name that ends with _base64. A payload that
/// cannot be read has an `error` in its line, all others are printed, and the exit code is 1.
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("which").args(["store", "topic", "queue", "streams", "configuration", "kind"])))]
pub(crate) struct ExportData {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Only the items of this store
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) store: Option<String>,
    /// Only the messages of this topic
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) topic: Option<String>,
    /// Only what is in this queue
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) queue: Option<String>,
    /// Only the events of this store of streams
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) streams: Option<String>,
    /// Only this store of configuration
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) configuration: Option<String>,
    /// Only what is of this kind; may be said several times
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Vec<ExportKind>,
    /// Also have a failure printed as JSON; the lines are JSON in any case
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a line can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportKind {
    Item,
    Message,
    Work,
    Event,
    Configuration,
    Job,
    Lock,
    Timer,
    Setting,
}

fn name(name: &str) -> Result<String, String> {
    machine::limits::name("thing", name).map(|()| name.to_owned()).map_err(|refusal| refusal.message)
}

/// Find out whether a disk keeps what it acknowledges
///
/// Writes numbered records of all kinds, and prints a line of JSON for each once it is acknowledged. Keep the lines on
/// another machine, pull the plug, start again, and have them checked: everything acknowledged must be there, once, and
/// in order.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "ssh HOST colony data exercise /data/try > lines     # pull HOST's plug after a while\n\
    scp lines HOST: && ssh HOST colony data exercise /data/try --check lines"
)]
pub(crate) struct ExerciseData {
    /// The folder: an empty one, or one that was used for this before
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// For how long; 0: until it is ended
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seconds: u64,
    /// How many write at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) producers: u32,
    /// Write nothing: check that what the lines of this file acknowledge is there; exit 1 if it is not
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "producers"])]
    pub(crate) check: Option<PathBuf>,
    /// Print JSON; the lines are JSON in any case
    #[arg(long)]
    pub(crate) json: bool,
}
