//! `configuration.redis`: items in a Redis, as Dapr has them: a string at the item's key, `VALUE||VERSION`.
//!
//! What happens to them is heard by Redis' own notifications about keys, which are switched on where they are not: those that
//! somebody else has switched on stay. They are sent to who listens at that moment, so whenever the connection was lost all is
//! looked at anew.

mod hear;

use std::collections::BTreeMap;

use redis::Value;

use super::watched::{ANSWER_BYTES_MAX, News, Watched, too_many};
use super::{Error, Item, Store, Watch};
use crate::Reply;
use crate::properties::{Invalid, Properties};
use crate::redis::{self as server, Connection, Unanswered};

/// Items in a Redis.
#[derive(Clone)]
pub struct Redis {
    connection: Connection,
}

/// What is set for a store of configuration in a Redis.
#[derive(Clone, Debug)]
pub struct Settings(server::Settings);

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        server::Settings::new(set).map(Settings)
    }
}

impl Redis {
    /// Connects, and sees that there is a Redis that answers.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn connect(settings: Settings) -> Result<Redis, Error> {
        Ok(Redis { connection: Connection::open(settings.0).await? })
    }

    /// What of these is there and a string; the bytes of it are added up.
    async fn read(&self, keys: &[String], bytes: &mut usize) -> Result<BTreeMap<String, Item>, Error> {
        let mut items = BTreeMap::new();
        for part in keys.chunks(KEYS_AT_A_TIME) {
            let mut read = redis::cmd("MGET");
            read.arg(part);
            let found: Vec<Option<Vec<u8>>> = match self.connection.ask(&read).await {
                Err(Unanswered { lost: true, .. }) => self.connection.ask(&read).await?,
                answer => answer?,
            };
            for (key, found) in part.iter().zip(found) {
                let Some(found) = found else { continue };
                *bytes += found.len();
                items.insert(key.clone(), item(&found));
            }
            if *bytes > ANSWER_BYTES_MAX {
                return Err(too_many());
            }
        }
        Ok(items)
    }

    async fn all(&self) -> Result<BTreeMap<String, Item>, Error> {
        let (mut items, mut bytes, mut cursor) = (BTreeMap::new(), 0, 0_u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("COUNT").arg(KEYS_AT_A_TIME).arg("TYPE").arg("string");
            let (next, keys): (u64, Vec<Vec<u8>>) = self.connection.ask(&scan).await?;
            let keys: Vec<String> = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
            bytes += keys.iter().map(String::len).sum::<usize>();
            items.extend(self.read(&keys, &mut bytes).await?);
            cursor = next;
            if cursor == 0 {
                return Ok(items);
            }
        }
    }
}

impl Store for Redis {
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<BTreeMap<String, Item>, Error>> {
        Box::pin(async move {
            match keys {
                [] => self.all().await,
                keys => self.read(keys, &mut 0).await,
            }
        })
    }

    fn watch<'a>(
        &'a self,
        keys: &'a [String],
        _: &'a BTreeMap<String, String>,
    ) -> Reply<'a, Result<Box<dyn Watch>, Error>> {
        Box::pin(async move {
            let news = News::default();
            let ear = hear::Ear::open(&self.connection, keys).await?;
            let hearing = tokio::spawn(hear::run(self.connection.clone(), keys.to_vec(), ear, news.clone()));
            let watch: Box<dyn Watch> = Box::new(Watched::new(self.clone(), keys, news, hearing));
            Ok(watch)
        })
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Error {
        Error::Unavailable(unanswered.why)
    }
}

/// A text as it lies there. What stands behind the last separator is the version.
fn item(text: &[u8]) -> Item {
    let text = String::from_utf8_lossy(text);
    let (value, version) = text.rsplit_once(SEPARATOR).unwrap_or((&text, ""));
    Item { value: value.to_owned(), version: version.to_owned(), metadata: BTreeMap::new() }
}

/// Sees that Redis tells of what happens to keys.
async fn switch_on(connection: &Connection) -> Result<(), Error> {
    let refused = |unanswered: Unanswered| match unanswered.code {
        Some(_) => Error::Invalid(format!(
            "{}: items are watched by `{NOTIFICATIONS}`, of which this user may not know",
            unanswered.why
        )),
        None => unanswered.into(),
    };
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg(NOTIFICATIONS);
    let told: Value = connection.ask(&get).await.map_err(refused)?;
    let set = flags(&told);
    let Some(wanted) = wanted(&set) else { return Ok(()) };
    let mut switch = redis::cmd("CONFIG");
    switch.arg("SET").arg(NOTIFICATIONS).arg(wanted);
    connection.ask::<Value>(&switch).await.map(drop).map_err(refused)
}

/// What is set for notifications, as it is told in either version of the protocol.
fn flags(told: &Value) -> String {
    let last = match told {
        Value::Map(pairs) => pairs.last().map(|(_, value)| value),
        Value::Array(list) => list.last(),
        _ => None,
    };
    match last {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    }
}

/// What has to be set where so much is; nothing if that is enough: keys (`K`), and what happens to strings and to any key.
fn wanted(set: &str) -> Option<String> {
    let has = |flag| set.contains(flag);
    let is_enough = has('K') && (has('A') || "g$xe".chars().all(has));
    (!is_enough).then(|| {
        let kept: String = set.chars().filter(|flag| !"KA".contains(*flag)).collect();
        format!("KA{kept}")
    })
}

/// What stands between a value and its version.
const SEPARATOR: &str = "||";
/// The setting of a Redis that says of what it notifies.
const NOTIFICATIONS: &str = "notify-keyspace-events";
/// How many keys are asked for at a time.
const KEYS_AT_A_TIME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_behind_the_value() {
        let of = |text: &str| {
            let Item { value, version, .. } = item(text.as_bytes());
            (value, version)
        };
        let both = |value: &str, version: &str| (value.to_owned(), version.to_owned());
        assert_eq!(of("a||1"), both("a", "1"));
        assert_eq!((of("a"), of("a||"), of("||1")), (both("a", ""), both("a", ""), both("", "1")));
        assert_eq!(of("a||b||1"), both("a||b", "1"));
    }

    #[test]
    fn what_others_want_to_be_notified_of_stays() {
        assert_eq!((wanted("KA"), wanted("AKE"), wanted("g$xeK")), (None, None, None));
        assert_eq!(wanted("").as_deref(), Some("KA"));
        assert_eq!((wanted("Ex").as_deref(), wanted("AE").as_deref()), (Some("KAEx"), Some("KAE")));
    }
}
