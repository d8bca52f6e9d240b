//! A log on a simulated disk, and beside it what it must have: a shadow model, and the actions that a seed picks.

use bytes::Bytes;
use log::conformance::{batch, payload};
use log::disk::{Disk, Faults, Simulated};
use log::{AppendError, Batch, Config, Embedded, Log, ReadError, Sequence, Upkeep};

/// How much a disk holds on which room runs out.
pub const ROOM_BYTES: u64 = 8 * 16384 + (128 << 10);
const SHARDS: u32 = 4;

/// A log, its disk and what it must have.
pub struct World<D: Disk + Clone = Simulated> {
    seed: u64,
    chance: u64,
    simulated: Simulated,
    disk: D,
    faults: Faults,
    log: Option<Embedded<D>>,
    shards: Vec<Shard>,
    /// What was tried when the log failed: it may be there or not.
    doubtful: Vec<Batch>,
    /// How many payloads have been made: no two are alike.
    payloads: u64,
    trace: Vec<(u64, Vec<Sequence>)>,
}

/// What a shard must have.
#[derive(Default)]
struct Shard {
    records: Vec<Bytes>,
    /// Up to where it has been trimmed, as the caller knows.
    trimmed: Sequence,
}

impl World {
    /// An empty disk, on which `faults` happen, except while it is opened.
    pub fn new(seed: u64, faults: Faults) -> World {
        let simulated = Simulated::new(seed);
        World::on(seed, simulated.clone(), simulated, faults)
    }
}

impl<D: Disk + Clone> World<D> {
    /// The same with a disk that is something around the simulated one.
    pub fn on(seed: u64, simulated: Simulated, disk: D, faults: Faults) -> World<D> {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        World {
            seed,
            chance: seed,
            simulated,
            disk,
            faults,
            log: None,
            shards,
            doubtful: Vec::new(),
            payloads: 0,
            trace: Vec::new(),
        }
    }

    /// Does `actions` things, and looks at everything after each opening and at the end.
    pub fn run(&mut self, actions: u32) {
        self.open();
        for _ in 0..actions {
            self.act();
            self.trace.push((self.simulated.operations(), self.shards.iter().map(Shard::last).collect()));
        }
        self.crash();
        self.open();
    }

    /// What has happened.
    pub fn trace(&self) -> Vec<(u64, Vec<Sequence>)> {
        self.trace.clone()
    }

    fn act(&mut self) {
        match self.pick(20) {
            0..=9 => self.append(),
            10..=12 => self.trim(),
            13 => self.look(),
            14 => self.reopen(),
            15 => self.end_process(),
            16 => self.free_room(),
            17 => {
                let soon = self.simulated.operations() + 1 + self.pick(30);
                self.simulated.fail_power_at(soon);
            }
            18 => self.append_wrongly(),
            _ => {
                self.crash();
                self.open();
            }
        }
        if self.log().failed().is_some() {
            // The process that sees that ends; what it could not make durable is still shown, until the power fails.
            if self.simulated.is_off() || self.pick(2) == 0 {
                self.crash();
                self.open();
            } else {
                self.end_process();
            }
        }
    }

    /// Appends to some shards.
    pub fn append(&mut self) {
        let mut batches = Vec::new();
        for shard in 0..SHARDS {
            if self.pick(2) == 0 {
                let sizes = [0, 7, 40, 300, 5000];
                let records: Vec<Bytes> = (0..=self.pick(5)).map(|_| self.payload(sizes)).collect();
                batches.push(batch(shard, self.shards[shard as usize].last(), records));
            }
        }
        let results = self.log().append(&batches);
        assert_eq!(results.len(), batches.len());
        for (batch, result) in batches.into_iter().zip(results) {
            match result {
                Ok(()) => self.shards[batch.shard as usize].records.extend(batch.records),
                Err(AppendError::Failed(_)) => self.doubtful.push(batch),
                Err(AppendError::Full(_)) => {}
                Err(error) => self.fail(&format!("append to shard {}: {error}", batch.shard)),
            }
        }
    }

    fn append_wrongly(&mut self) {
        let shard = self.pick(u64::from(SHARDS)) as u32;
        let last = self.shards[shard as usize].last();
        let wrong = batch(shard, last + 1 + self.pick(3), [Bytes::from_static(b"wrong")]);
        let results = self.log().append(&[wrong]);
        let refused = matches!(&results[..], [Err(AppendError::NotTail { .. } | AppendError::Failed(_))]);
        self.check(refused, "an append that does not follow is refused");
    }

    fn trim(&mut self) {
        let shard = self.pick(u64::from(SHARDS)) as u32;
        let last = self.shards[shard as usize].last();
        let before = self.pick(last + 3);
        // That it cannot be noted is no harm.
        let _ = self.log().trim(shard, before);
        let trimmed = &mut self.shards[shard as usize].trimmed;
        *trimmed = before.saturating_sub(1).min(last).max(*trimmed);
        let first = *trimmed + 1;
        self.check(self.log().first(shard) == first, "trimmed to where it was asked to");
    }

    fn free_room(&mut self) {
        while let Some(oldest) = self.log().oldest() {
            for (shard, up_to) in oldest.up_to {
                let _ = self.log().trim(shard, up_to + 1);
                let trimmed = &mut self.shards[shard as usize].trimmed;
                *trimmed = up_to.max(*trimmed);
            }
            if self.pick(3) == 0 || self.log().failed().is_some() || self.simulated.is_off() {
                break;
            }
        }
    }

    /// Takes the power away, with what that loses.
    pub fn crash(&mut self) {
        self.log = None;
        self.simulated.restart();
    }

    fn end_process(&mut self) {
        self.log = None;
        self.simulated.end_process();
        self.open();
    }

    fn reopen(&mut self) {
        let closed = self.log.take().map(Embedded::close);
        match closed {
            Some(Ok(())) if !self.simulated.is_off() => {}
            _ => self.simulated.restart(),
        }
        self.open();
    }

    /// Opens the log, which must work, though the power may fail once more while it is tried.
    pub fn open(&mut self) {
        self.simulated.set_faults(Faults { sector_bytes: self.faults.sector_bytes, ..Faults::default() });
        self.simulated.fail_power_at(u64::MAX);
        for _ in 0..self.pick(3) {
            let soon = self.simulated.operations() + 1 + self.pick(40);
            self.simulated.fail_power_at(soon);
            if let Ok(log) = Embedded::open(self.disk.clone(), config()) {
                drop(log);
            }
            self.simulated.restart();
        }
        let log = match Embedded::open(self.disk.clone(), config()) {
            Ok(log) => log,
            Err(error) => self.fail(&format!("it does not open: {error}: {error:?}")),
        };
        self.log = Some(log);
        self.adopt();
        self.look();
        self.simulated.set_faults(self.faults.clone());
    }

    /// Takes over what is there of what was doubtful, and what was trimmed and is there again.
    fn adopt(&mut self) {
        let doubtful = std::mem::take(&mut self.doubtful);
        for batch in doubtful {
            let shard = &self.shards[batch.shard as usize];
            let last = self.log().last(batch.shard);
            if last == shard.last() + batch.records.len() as u64 {
                self.shards[batch.shard as usize].records.extend(batch.records);
            }
        }
        for shard in 0..SHARDS {
            let first = self.log().first(shard);
            let trimmed = self.shards[shard as usize].trimmed;
            self.check(
                first <= trimmed + 1,
                &format!("shard {shard} begins at {first}, trimmed to {trimmed}"),
            );
            self.shards[shard as usize].trimmed = first - 1;
        }
    }

    /// Everything that was acknowledged is there, and nothing else.
    fn look(&self) {
        let log = self.log();
        for (shard, expected) in (0..).zip(&self.shards) {
            let (first, last) = (log.first(shard), log.last(shard));
            let said = format!(
                "shard {shard} has {first} to {last} instead of {} to {}",
                expected.trimmed + 1,
                expected.last()
            );
            self.check((first, last) == (expected.trimmed + 1, expected.last()), &said);
            let mut next = first;
            while next <= last {
                let records = match log.read(shard, next, 2000) {
                    Ok(records) => records,
                    Err(_) if self.simulated.is_off() => return,
                    Err(error) => self.fail(&format!("{shard}/{next}: {error}")),
                };
                self.check(!records.is_empty(), &format!("{shard}/{next} is not there"));
                for record in records {
                    let right =
                        record.sequence == next && record.bytes == expected.records[next as usize - 1];
                    self.check(right, &format!("{shard}/{next} is not what was appended"));
                    next += 1;
                }
            }
            if let Err(error) = log.get(shard, first)
                && !matches!(error, ReadError::NotYet { .. })
                && !self.simulated.is_off()
            {
                self.fail(&format!("{shard}/{first}: {error}"));
            }
        }
    }

    pub fn log(&self) -> &Embedded<D> {
        self.log.as_ref().unwrap_or_else(|| self.fail("it is not open"))
    }

    pub fn simulated(&self) -> &Simulated {
        &self.simulated
    }

    /// Closes the log; what it must have of each shard, with what may be lost of it if the last write is damaged.
    pub fn close(mut self, properly: bool) -> Vec<Vec<Bytes>> {
        let log = self.log.take().unwrap_or_else(|| self.fail("it is not open"));
        if properly && let Err(error) = log.close() {
            panic!("seed {}: {error}", self.seed);
        }
        self.simulated.end_process();
        self.shards.iter().map(|shard| shard.records.clone()).collect()
    }

    fn payload(&mut self, sizes: [usize; 5]) -> Bytes {
        self.payloads += 1;
        let size = sizes[self.pick(5) as usize];
        payload(9, self.payloads, size + self.pick(8) as usize)
    }

    fn pick(&mut self, limit: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.chance >> 33) ^ (self.chance >> 12)) % limit
    }

    fn check(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what} (after {} operations)", self.seed, self.simulated.operations());
    }
}

impl Shard {
    fn last(&self) -> Sequence {
        self.records.len() as Sequence
    }
}

/// Small, so that much happens soon.
pub fn config() -> Config {
    Config {
        segment_bytes: 32 << 10,
        record_bytes_max: 6 << 10,
        cache_bytes: 4 << 10,
        spares_max: 1,
        upkeep: Upkeep::Inline,
    }
}
