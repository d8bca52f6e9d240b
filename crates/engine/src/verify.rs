//! Reading everything in a folder, to say what of it is damaged; and making it open again.
//!
//! The log checks its own bytes ([`log::verify`]), the store those of its tables. What is looked at here is that the two fit
//! together: that every entry can be understood, that the state can be made from them, that every payload the state
//! points to is there, that they are as many bytes as the state has counted, and that what shards have sent each other is
//! with the one or the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use log::disk::RealDisk;
use log::{Log, ReadError, Repaired, Report};
use machine::body::{self, Kept};
use machine::outbox::{self, SentTo};
use machine::{Entry, Order, Read, Stored, Table};
use prost::Message;

use crate::backup::check_finished;
use crate::embedded::{LOG_FOLDER, STORE_FOLDER};
use crate::error::{OpenError, with_causes};
use crate::inspection::Inspection;
use crate::replica::{Data, Shared};
use crate::store::Fjall;

/// What a folder has, and what of it is damaged.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What the log says of itself.
    pub log: Report,
    /// How many entries can be understood.
    pub entries: u64,
    /// How many pairs of state were read.
    pub pairs: u64,
    /// How many payloads in the log are pointed to and there.
    pub payloads: u64,
    /// What else is wrong, a sentence each.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Whether nothing is damaged.
    pub fn is_whole(&self) -> bool {
        self.log.damages.is_empty() && self.wrong.is_empty()
    }
}

/// Reads all that is in `folder`. `progress` is told what is being read.
///
/// # Errors
///
/// If nothing is there, or a process has it open, or the disk fails, or a newer program has written it.
pub fn verify(folder: &Path, mut progress: impl FnMut(&str)) -> Result<Verdict, OpenError> {
    check_finished(folder)?;
    verify_unfinished(folder, &mut progress)
}

/// As [`verify`], also where a restore is not finished yet.
pub(crate) fn verify_unfinished(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<Verdict, OpenError> {
    let log_folder = folder.join(LOG_FOLDER);
    if !log_folder.is_dir() {
        return Err(OpenError::Nothing(folder.to_owned()));
    }
    progress("reading the log");
    let disk = RealDisk::new(log_folder).map_err(|error| OpenError::Folder(error.into()))?;
    let report = log::verify(&disk).map_err(OpenError::Open)?;
    let mut verdict = Verdict { log: report, ..Verdict::default() };
    if verdict.log.damages.iter().any(|damage| damage.prevents_opening) {
        return Ok(verdict);
    }
    let opened = Inspection::open_unfinished(folder, |shard, of| {
        progress(&format!("applying the log: shard {shard} of {of}"));
    });
    let inspection = match opened {
        Ok(inspection) => inspection,
        Err(error @ (OpenError::Nothing(_) | OpenError::Folder(_))) => return Err(error),
        Err(OpenError::Open(error @ log::OpenError::Locked { .. })) => return Err(OpenError::Open(error)),
        Err(error) => {
            verdict.wrong.push(with_causes(&error));
            return Ok(verdict);
        }
    };
    for shard in inspection.shards() {
        progress(&format!("shard {} of {}", shard.shard().0, inspection.count().count()));
        verdict.entries(&inspection, shard);
        verdict.state(&inspection, shard);
    }
    verdict.between(inspection.shards());
    Ok(verdict)
}

impl Verdict {
    /// Every entry that the log can read can be understood. Those it cannot read it has said itself.
    fn entries(&mut self, inspection: &Inspection, shard: &Shared<Fjall>) {
        let number = shard.shard().0;
        let (mut next, last) = inspection.span(shard);
        while next <= last {
            match inspection.log().read(number, next, READ_BYTES) {
                Ok(records) => {
                    for record in &records {
                        match Entry::decode(record.bytes.clone()) {
                            Ok(_) => self.entries += 1,
                            Err(malformed) => {
                                self.wrong.push(format!(
                                    "entry {} of shard {number}: {malformed}",
                                    record.sequence
                                ));
                            }
                        }
                    }
                    next += records.len().max(1) as u64;
                }
                Err(ReadError::Damaged { .. }) => next += 1,
                Err(error) => {
                    self.wrong.push(format!("entry {next} of shard {number}: {}", with_causes(&error)));
                    return;
                }
            }
        }
    }

    /// The state can be read, and what it points to is there.
    fn state(&mut self, inspection: &Inspection, shard: &Shared<Fjall>) {
        let number = shard.shard().0;
        let applied = shard.read();
        let mut pointed = Vec::new();
        let mut pairs = 0;
        applied.state.scan(&[1], &[u8::MAX], Order::Forwards, &mut |key, value| {
            pairs += 1;
            if key.first() == Some(&(Table::Kept as u8)) {
                pointed.push((key.to_vec(), value.clone()));
            }
            std::ops::ControlFlow::Continue(())
        });
        self.pairs += pairs;
        if let Some(failure) = applied.state.failure() {
            self.wrong.push(format!("the state of shard {number}: {}", with_causes(failure)));
            return;
        }
        let counted = applied.state.kept_bytes();
        drop(applied);
        let mut bytes = 0;
        for (key, value) in pointed {
            match stored(&key, value) {
                Some((_, Kept { moved: Some(_), .. })) => {}
                Some((stored, kept)) => {
                    bytes += u64::from(kept.length);
                    self.payload(inspection, shard, &stored);
                }
                None => {
                    self.wrong.push(format!("the state of shard {number}: a pointer cannot be understood"))
                }
            }
        }
        if bytes != counted {
            self.wrong.push(format!(
                "the state of shard {number} points to {bytes} bytes of payloads in the log, and has counted {counted}"
            ));
        }
    }

    /// What shards send each other is with the one or the other: nobody has applied what was never sent, nor forgotten
    /// what was not applied.
    fn between(&mut self, shards: &[Shared<Fjall>]) {
        for sender in shards {
            let source = sender.shard();
            for SentTo { target, sent, delivered } in outbox::sent(&sender.read().state) {
                // What is for a shard that there is not was given up.
                let Some(receiver) = shards.get(target.0 as usize) else { continue };
                let applied = outbox::last_applied(&receiver.read().state, source);
                let (source, target) = (source.0, target.0);
                if applied > sent {
                    self.wrong.push(format!(
                        "shard {target} has applied {applied} commands of shard {source}, which has sent {sent}"
                    ));
                }
                if applied < delivered {
                    self.wrong.push(format!(
                        "shard {source} takes {delivered} commands to be applied by shard {target}, which has applied \
                         {applied}"
                    ));
                }
            }
        }
    }

    fn payload(&mut self, inspection: &Inspection, shard: &Shared<Fjall>, stored: &Stored) {
        match inspection.payload(shard, stored) {
            Ok(_) => self.payloads += 1,
            Err(failure) => self.wrong.push(format!(
                "payload {} of entry {} of shard {}: {}",
                stored.index,
                stored.sequence,
                shard.shard().0,
                with_causes(&failure)
            )),
        }
    }
}

fn stored(key: &[u8], value: Bytes) -> Option<(Stored, Kept)> {
    let (sequence, index) = body::of_key(key)?;
    let kept = Kept::decode(value).ok()?;
    Some((Stored { inline: None, sequence, index, length: kept.length }, kept))
}

/// What [`repair`] did.
#[derive(Clone, Debug)]
pub struct Mended {
    /// What became of the log.
    pub log: Repaired,
    /// Where the store is now that could not be used any more: its state is made anew from the log.
    pub store: Option<PathBuf>,
}

/// Makes what is in `folder` open again, by giving up as little as can be told. Nothing is deleted: what is given up is
/// put beside.
///
/// What was cut off the log may have been applied already. If the log begins with the first entry ever, the state is
/// made anew from it: the store is set aside. If not, it cannot be: then the folder still does not open, and says so. Nor does it
/// where a single entry is damaged that no checkpoint has yet.
///
/// # Errors
///
/// As [`verify`].
pub fn repair(folder: &Path) -> Result<Mended, OpenError> {
    check_finished(folder)?;
    let log_folder = folder.join(LOG_FOLDER);
    if !log_folder.is_dir() {
        return Err(OpenError::Nothing(folder.to_owned()));
    }
    let disk = RealDisk::new(log_folder).map_err(|error| OpenError::Folder(error.into()))?;
    let log = log::repair(&disk).map_err(OpenError::Open)?;
    let store = match Inspection::open(folder, |_, _| {}) {
        Err(OpenError::Ahead { .. }) if begins_with_all(&log.after) => set_store_aside(folder)?,
        _ => None,
    };
    Ok(Mended { log, store })
}

fn begins_with_all(log: &Report) -> bool {
    log.shards.iter().all(|(_, first, _)| *first == 1)
}

/// Another machine might make another state of the log: then nothing is done.
fn set_store_aside(folder: &Path) -> Result<Option<PathBuf>, OpenError> {
    let place = folder.join(STORE_FOLDER);
    let open = || Fjall::open(&place, CACHE_BYTES);
    let data = Data::of(&open()?)?.filter(|data| data.machine == machine::VERSION);
    let Some(data) = data else { return Ok(None) };
    let aside = (1..).map(|number| folder.join(format!("{STORE_FOLDER}.{number}.cut")));
    let aside = aside.into_iter().find(|aside| !aside.exists()).expect("there are more numbers than folders");
    std::fs::rename(&place, &aside).map_err(|error| OpenError::Folder(Arc::new(error)))?;
    data.write(&open()?)?;
    Ok(Some(aside))
}

const READ_BYTES: usize = 4 << 20;
const CACHE_BYTES: u64 = 8 << 20;
