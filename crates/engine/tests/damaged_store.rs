//! A bit that flips in a file of the store: what is read then is what was written, or an error.
//!
//! With one exception, which the engine has to be prepared for: the store may open as it was some checkpoints ago, or
//! empty, since what says which of its versions is the last is not protected by a checksum. As a whole it is right even
//! then, with the sequence up to which it was applied; the log from there makes it the state of now again, or begins too
//! late, and that is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::overlay::{Change, Layer};
use engine::store::{Fjall, Section};
use engine::{Store, StoreError};
use machine::{Key, Order};

/// All pairs.
type Pairs = BTreeMap<Vec<u8>, Bytes>;

#[test]
fn a_flipped_bit_in_the_store_is_noticed_or_harmless() {
    let whole = tempfile::tempdir().expect("a folder for the test");
    let versions = write(whole.path());
    let mut chance = Chance(7);
    let mut noticed = 0;
    for _ in 0..FLIPS {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = copy(whole.path(), folder.path());
        let file = &files[chance.below(files.len())];
        let mut content = std::fs::read(file).expect("it is there");
        // Of what says which version counts, the number.
        let end = if file.ends_with("current") { 1 } else { content.len() };
        let (at, bit) = (chance.below(end), chance.below(8));
        content[at] ^= 1 << bit;
        std::fs::write(file, content).expect("it can be written");
        match read(folder.path(), &versions) {
            Ok(found) => {
                let is_right = versions.contains(&found);
                assert!(is_right, "bit {bit} of byte {at} of {}: something else is read", file.display());
            }
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > FLIPS / 5, "{noticed} of {FLIPS} flipped bits were noticed");
}

/// Reads all in both ways.
fn read(folder: &Path, versions: &[Pairs]) -> Result<Pairs, StoreError> {
    let store = Fjall::open(folder, 1 << 20)?;
    let pairs: Pairs = store.page(&[], &[u8::MAX; 8], Order::Forwards, usize::MAX)?.into_iter().collect();
    for key in versions.iter().flat_map(Pairs::keys) {
        assert_eq!(store.get(key)?.as_ref(), pairs.get(key), "{key:?}, and what a scan finds");
    }
    Ok(pairs)
}

/// A store of some checkpoints: what was in it after each.
fn write(folder: &Path) -> Vec<Pairs> {
    let store = Fjall::open(folder, 1 << 20).expect("it opens");
    let mut versions = vec![Pairs::new()];
    for round in 0..4_u32 {
        let key = |number: u32| Key::from(format!("key {number}").as_bytes());
        let value = |number: u32| Bytes::from(format!("{round} {number} ").repeat(20));
        let numbers = (0..300_u32).filter(|number| number % 4 >= round);
        let changes: Layer = numbers.map(|number| (key(number), Change::put(value(number)))).collect();
        let prefix = 0_u32.to_be_bytes();
        let mut pairs = versions.last().cloned().unwrap_or_default();
        for (key, change) in &changes {
            pairs.insert([&prefix, key.as_bytes()].concat(), change.value.clone().expect("it is put"));
        }
        versions.push(pairs);
        store.ingest(&[Section { prefix, changes: Arc::new(changes) }]).expect("it is written");
    }
    versions
}

/// Copies a folder, and tells which files there are that are not empty.
fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(from).expect("it is there");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort_unstable();
    for entry in entries {
        let target = to.join(entry.file_name().expect("an entry has a name"));
        if entry.is_dir() {
            std::fs::create_dir_all(&target).expect("it can be made");
            files.extend(copy(&entry, &target));
        } else if std::fs::copy(&entry, &target).expect("it can be copied") > 0 {
            files.push(target);
        }
    }
    files
}

/// SplitMix64, by Steele, Lea and Flood.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

const FLIPS: usize = 40;
