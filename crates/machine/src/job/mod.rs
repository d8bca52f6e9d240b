//! Jobs: commands that are sent when their time comes, once or again and again.
//!
//! A job is known by its scope (as a rule a service) and its name. When it is due, the command that it
//! carries is sent to the shard that it names, in the same entry in which the next run is scheduled: a run
//! is neither lost nor done twice, whatever crashes. What it sends is as a rule an item for a queue or a
//! message for a topic, whose attempts and dead letters are then what a failing run gets.
//!
//! **When** a job runs is its [`Schedule`]: once, at an interval counted from its first run, or by the clock
//! on a wall somewhere ([`Cron`]). A job that will not run any more is gone.
//!
//! **Missed runs.** A run is late if nobody led the shard when it was due. [`Missed`] says what becomes of
//! the runs that all are due by then: one is done for all of them, or each up to a number, or none but the
//! last if that is only a little late.
//!
//! **A full way.** Where too much is on its way to the command's shard already, a run is held: until there is room
//! its runs are missed, and what becomes of them is as above.
//!
//! **Time zones.** Their rules are in the program, and part of this machine: with other rules the same entries
//! give other times. A newer program with newer rules MUST therefore not replay what an older one has applied:
//! it goes on from a checkpoint that the older one has left.
//!
//! A job is two records: what was put ([`Job`]), and the small one that each run writes ([`Progress`]).

mod cron;
mod delete;
mod duration;
mod pause;
mod put;
mod read;
mod run;
mod schedule;
mod text;
mod trigger;

pub use cron::Cron;
pub use delete::{Delete, DeletePrefix, Deleted};
pub use duration::{duration, point};
pub use pause::{Pause, Resume};
pub use put::Put;
pub use read::{Listed, Page, get, list, scopes};
pub(crate) use run::fire;
pub use schedule::{Every, Kind as ScheduleKind, Schedule};
pub use text::{ParseError, schedule};
pub use trigger::Trigger;

use crate::body::Stored;
use crate::command::commands;
use crate::key::{Key, Table};
use crate::limits;
use crate::placement::{Shard, Shards};
use crate::refusal::{Code, Refusal};

/// Shortest interval between runs, in milliseconds.
pub const EVERY_MS_MIN: u64 = 10;
/// Most payloads of a job's command.
pub const BODIES_MAX: usize = 100;
/// Most missed runs that are made up for.
pub const MISSED_MAX: u32 = 10_000;
/// Most jobs that one command deletes.
pub const NAMES_MAX: usize = 1_000;
/// How late a run may be, in milliseconds, that is not skipped, where the job does not say.
pub const GRACE_MS_DEFAULT: u64 = 60_000;

commands! {
    "jobs";
    /// Makes a job.
    1 => Put,
    /// Takes jobs away.
    2 => Delete,
    /// Has a job not run.
    3 => Pause,
    /// Has it run again.
    4 => Resume,
    /// Runs it now.
    5 => Trigger,
    /// Takes away all whose names begin so.
    6 => DeletePrefix,
}

/// What a command to jobs was answered.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reply {
    /// The answer; nothing where there is nothing to say.
    #[prost(oneof = "Answer", tags = "1, 2")]
    pub answer: Option<Answer>,
}

/// The answers. Numbers as [`Kind`].
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Answer {
    /// To `Put`, and to `Resume`: when it runs next.
    #[prost(uint64, tag = "1")]
    NextMs(u64),
    /// To `Delete`, and to `DeletePrefix`.
    #[prost(message, tag = "2")]
    Deleted(Deleted),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply { answer: Some(answer) }
    }
}

/// A job as it was put: a value under [`Table::Job`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Job {
    /// When it runs.
    #[prost(message, optional, tag = "1")]
    pub schedule: Option<Schedule>,
    /// Its first run, from which an interval counts.
    #[prost(uint64, tag = "2")]
    pub first_ms: u64,
    /// When the last run may be; zero for never ending.
    #[prost(uint64, tag = "3")]
    pub until_ms: u64,
    /// How many runs there are; zero for any number.
    #[prost(uint64, tag = "4")]
    pub runs_max: u64,
    /// What becomes of missed runs.
    #[prost(enumeration = "Missed", tag = "5")]
    pub missed: i32,
    /// How many of them are made up for.
    #[prost(uint32, tag = "6")]
    pub missed_max: u32,
    /// How late a run may be that is not skipped.
    #[prost(uint64, tag = "7")]
    pub grace_ms: u64,
    /// The shard that the command is sent to.
    #[prost(uint32, tag = "8")]
    pub target: u32,
    /// The command.
    #[prost(message, required, boxed, tag = "9")]
    pub command: Box<crate::command::Command>,
    /// Its payloads.
    #[prost(message, repeated, tag = "10")]
    pub bodies: Vec<Stored>,
    /// When it was put.
    #[prost(uint64, tag = "11")]
    pub put_ms: u64,
}

/// How far a job is: a value under [`Table::Job`], beside it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Progress {
    /// When it runs next.
    #[prost(uint64, tag = "1")]
    pub next_ms: u64,
    /// How often it ran, not counting those by `Trigger`.
    #[prost(uint64, tag = "2")]
    pub runs: u64,
    /// When it ran last; zero for never.
    #[prost(uint64, tag = "3")]
    pub last_ms: u64,
    /// Whether it does not run at present.
    #[prost(bool, tag = "4")]
    pub paused: bool,
    /// How many runs in a row made up for missed ones.
    #[prost(uint32, tag = "5")]
    pub made_up: u32,
    /// When it is tried again to send its command, if there was no room on the way to its shard; zero as a rule.
    #[prost(uint64, tag = "6")]
    pub held_ms: u64,
}

/// What becomes of runs that were missed. Numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Missed {
    /// One run is done for all of them, at once.
    RunOnce = 0,
    /// They are skipped; but if the last of them is late by no more than `grace_ms`, that is done.
    Skip = 1,
    /// Each is done, the oldest first, up to `missed_max`; the others are skipped.
    RunAll = 2,
}

impl Command {
    /// Refuses a job whose command would never arrive.
    pub(crate) fn check_targets(&self, shards: Shards) -> Result<(), Refusal> {
        let Some(Kind::Put(put)) = &self.kind else { return Ok(()) };
        if put.target >= shards.count() {
            let last = shards.count() - 1;
            let nowhere = format!(
                "the job {:?} is to send its command to shard {}, and there are 0 to {last}",
                put.name, put.target
            );
            return Err(Refusal::new(Code::Invalid, nowhere));
        }
        put.command.check_targets(shards)
    }
}

/// The shard of a scope's jobs: all in one, so that they are listed as a whole.
pub fn shard(shards: Shards, scope: &str) -> Shard {
    shards.of(&[b"job", scope.as_bytes()])
}

fn check_name(scope: &str, name: &str) -> Result<(), Refusal> {
    limits::scope(scope)?;
    limits::name("job", name)
}

fn not_found(name: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no job {name:?}"))
}

/// What a job's keys begin with; also what its timer is known by.
fn job_prefix(scope: &str, name: &str) -> Key {
    Key::new(Table::Job).name(scope).name(name)
}

fn job_key(prefix: &Key) -> Key {
    prefix.clone().u8(0)
}

fn progress_key(prefix: &Key) -> Key {
    prefix.clone().u8(1)
}
