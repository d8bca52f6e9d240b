//! The faults in force, by number: what each is on, when it ends, and how often it struck.
//!
//! They are live state of the data plane and in no configuration. A configuration that is taken on
//! leaves them in force where what they are on is still there; they end by their time, by hand, or with
//! what they are on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use policy::fault::Then;
use policy::{Fault, FaultConfig, Time};
use serde::{Deserialize, Serialize};

use crate::call::faults::Active;
use crate::call::guard::lock;
use crate::clock;
use crate::mesh::Mesh;
use crate::table::Table;

/// Most faults at a time: each is looked at for every try that it may be for.
pub const FAULTS_MAX: usize = 64;

/// All faults.
#[derive(Default)]
pub(crate) struct Board {
    active: Vec<Arc<Active>>,
    /// How many there have been.
    count: u64,
}

/// One fault, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its number.
    pub id: u64,
    /// The call or the service that it is on.
    pub on: String,
    /// The least and the most of its delay, milliseconds.
    pub delay_ms: Option<[u64; 2]>,
    /// The status that it answers.
    pub status: Option<u16>,
    /// The status of gRPC that it answers.
    pub grpc_status: Option<u16>,
    /// Whether it loses connections.
    pub reset: bool,
    /// To how many bytes a second it slows bodies down.
    pub slow_body: Option<u64>,
    /// The share of tries in its scope that it strikes.
    pub percent: f64,
    /// Methods that it is for; empty: any.
    pub methods: Vec<String>,
    /// Paths that it is for: this one and those below.
    pub path: Option<String>,
    /// Headers that it is for, with their values if these matter.
    pub headers: Vec<(String, Option<String>)>,
    /// How much longer it lasts, milliseconds.
    pub remaining_ms: u64,
    /// Tries in its scope so far.
    pub tries: u64,
    /// Those of them that it struck.
    pub struck: u64,
}

/// Why there is no such fault.
#[derive(Debug)]
pub enum FaultError {
    /// Neither a call nor a service is called so.
    NoTarget {
        /// The calls there are.
        calls: Vec<String>,
        /// The services and externals there are.
        upstreams: Vec<String>,
    },
    /// There are [`FAULTS_MAX`] already.
    TooMany,
    /// It contradicts itself, as this sentence says.
    Nonsense(String),
    /// No fault has this number.
    NoFault {
        /// The numbers there are.
        known: Vec<u64>,
    },
}

/// Why a fault ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultEnd {
    /// Its time is over.
    Expired,
    /// What it was on is no more.
    TargetGone,
}

impl Mesh {
    /// Has a fault strike from now on: on a call, or on all calls to a service or external.
    ///
    /// # Errors
    /// [`FaultError`]; then nothing has changed.
    pub fn add_fault(
        &self,
        on: &str,
        config: FaultConfig,
        lasts: Duration,
    ) -> Result<FaultStatus, FaultError> {
        let now = clock::now();
        let fault = Fault::new(config, now, lasts).map_err(FaultError::Nonsense)?;
        self.with_board(|board, table| {
            board.active.retain(|one| !one.fault.is_over(now));
            if !is_there(table, on) {
                let calls = table.calls.keys().cloned().collect();
                return Err(FaultError::NoTarget {
                    calls,
                    upstreams: table.upstreams.keys().cloned().collect(),
                });
            }
            if board.active.len() >= FAULTS_MAX {
                return Err(FaultError::TooMany);
            }
            board.count += 1;
            let active = Arc::new(Active::new(board.count, on.to_owned(), fault));
            board.active.push(active.clone());
            Ok(of(&active, now))
        })
    }

    /// Ends a fault, or all. Returns what they were.
    ///
    /// # Errors
    /// [`FaultError::NoFault`]; then nothing has changed.
    pub fn clear_faults(&self, id: Option<u64>) -> Result<Vec<FaultStatus>, FaultError> {
        let now = clock::now();
        self.with_board(|board, _| {
            let known: Vec<u64> = board.live(now).map(|one| one.id).collect();
            if id.is_some_and(|id| !known.contains(&id)) {
                return Err(FaultError::NoFault { known });
            }
            let asked = |one: &Active| id.is_none_or(|id| id == one.id) && !one.fault.is_over(now);
            Ok(board.take(|one| asked(one)).iter().map(|one| of(one, now)).collect())
        })
    }

    /// The faults that have ended by themselves since this was last asked.
    pub fn ended_faults(&self) -> Vec<(FaultStatus, FaultEnd)> {
        let now = clock::now();
        self.with_board(|board, table| {
            let gone = board.take(|one| one.fault.is_over(now) || !is_there(table, &one.on));
            let why = |one: &Active| match one.fault.is_over(now) {
                true => FaultEnd::Expired,
                false => FaultEnd::TargetGone,
            };
            gone.iter().map(|one| (of(one, now), why(one))).collect()
        })
    }

    /// The faults in force.
    pub(crate) fn faults(&self) -> Vec<FaultStatus> {
        let now = clock::now();
        lock(&self.inner.faults).live(now).map(|one| of(one, now)).collect()
    }

    /// Changes the board, and puts what is on it on the calls in force.
    fn with_board<T>(&self, change: impl FnOnce(&mut Board, &Table) -> T) -> T {
        let mut board = lock(&self.inner.faults);
        let table = lock(&self.inner.state).table.clone();
        let changed = change(&mut board, &table);
        board.put_on(&table);
        changed
    }
}

impl Board {
    /// Every call of a table gets the faults that are on it.
    pub(crate) fn put_on(&self, table: &Table) {
        for (id, call) in &table.calls {
            let on_it = |one: &&Arc<Active>| one.on == *id || one.on == call.config.upstream;
            call.faults.set(self.active.iter().filter(on_it).cloned().collect());
        }
    }

    fn live(&self, now: Time) -> impl Iterator<Item = &Arc<Active>> {
        self.active.iter().filter(move |one| !one.fault.is_over(now))
    }

    /// Ends some, and lets go of whom they hold.
    fn take(&mut self, which: impl Fn(&Active) -> bool) -> Vec<Arc<Active>> {
        let (taken, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.active).into_iter().partition(|one| which(one));
        self.active = left;
        taken.iter().for_each(|one| one.end());
        taken
    }
}

fn is_there(table: &Table, on: &str) -> bool {
    table.calls.contains_key(on) || table.upstreams.contains_key(on)
}

fn of(active: &Active, now: Time) -> FaultStatus {
    let FaultConfig { effect, share, scope } = &active.fault.config;
    let mut status = FaultStatus {
        id: active.id,
        on: active.on.clone(),
        delay_ms: effect.delay().map(|(least, most)| [least, most].map(|one| one.as_millis() as u64)),
        percent: share.as_percent(),
        methods: scope.methods().to_vec(),
        path: scope.path().map(str::to_owned),
        headers: scope.headers().to_vec(),
        remaining_ms: active.fault.until().since(now).as_millis() as u64,
        tries: active.tries.load(Ordering::Relaxed),
        struck: active.struck.load(Ordering::Relaxed),
        ..FaultStatus::default()
    };
    match effect.then() {
        Then::Pass => {}
        Then::Status(code) => status.status = Some(code),
        Then::Grpc(code) => status.grpc_status = Some(code),
        Then::Reset => status.reset = true,
        Then::SlowBody(rate) => status.slow_body = Some(rate),
    }
    status
}
