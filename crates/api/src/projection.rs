//! Projections: what comes of the events of a store of streams, saved with up to where they were read, in one transaction.
//!
//! A transaction's metadata says which projection it moves on, from where and to where. Its checkpoint lies with the items that the
//! transaction saves, so it is asked for by the store of these, too.

use std::collections::BTreeMap;

use components::state;
use engine::Position;
use engine::blocks::projection::Move;

use crate::api::Api;
use crate::error::Error;
use crate::state::{Failing, Store};
use crate::streams::invalid;

/// A projection: its name, the store of streams that it reads, and the store that it saves to.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Its name.
    pub projection: &'a str,
    /// What it reads.
    pub streams: &'a str,
    /// What it saves to.
    pub state: &'a str,
}

impl Api {
    /// Where a projection of the application is; the empty position if it has read nothing.
    ///
    /// # Errors
    ///
    /// If there is no such store, or it is kept outside.
    pub async fn checkpoint(&self, named: Named<'_>) -> Result<Position, Error> {
        let store = self.projected(named).await?;
        store.checkpoint(named.projection, named.streams).await.map_err(failed)
    }

    /// Sets a projection of the application, wherever it is.
    ///
    /// # Errors
    ///
    /// If there is no such store, or it is kept outside.
    pub async fn set_checkpoint(&self, named: Named<'_>, to: &Position) -> Result<(), Error> {
        let store = self.projected(named).await?;
        store.rewind(named.projection, named.streams, to).await.map_err(failed)
    }

    /// The store that a projection saves to; that there is one that it reads is looked at.
    async fn projected<'a>(&'a self, named: Named<'a>) -> Result<Store<'a>, Error> {
        if named.state.is_empty() {
            return Err(invalid("it is not said to which store of state the projection saves"));
        }
        self.streams(named.streams, None)?.settings().await?;
        self.store(named.state)
    }

    /// Which projection a transaction moves on, by its metadata.
    pub(crate) async fn moving(&self, metadata: &BTreeMap<String, String>) -> Result<Option<Move>, Error> {
        let moved = moving(metadata).map_err(|why| Failing::Projection.by(&state::Error::Invalid(why)))?;
        if let Some(moved) = &moved {
            self.streams(&moved.streams, None)?.settings().await?;
        }
        Ok(moved)
    }
}

/// A position from text; the empty one, and `start`, are before the first event.
///
/// # Errors
///
/// If it is none that was given out.
pub(crate) fn position(text: &str) -> Result<Position, String> {
    match text {
        "start" => Ok(Position::default()),
        text => text.parse().map_err(|odd: engine::blocks::Refused| odd.message),
    }
}

fn moving(metadata: &BTreeMap<String, String>) -> Result<Option<Move>, String> {
    let own = metadata.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value)));
    let own: BTreeMap<&str, &String> = own.collect();
    if own.is_empty() {
        return Ok(None);
    }
    if let Some(odd) = own.keys().find(|name| !NAMES.contains(name)) {
        let names = NAMES.map(|name| format!("{PREFIX}{name}")).join(", ");
        return Err(format!("{PREFIX}{odd} is none of {names}"));
    }
    let text = |name: &str| {
        let text = own.get(name).filter(|text| !text.is_empty());
        text.map(|text| (*text).clone()).ok_or_else(|| format!("a projection needs {PREFIX}{name}"))
    };
    Ok(Some(Move {
        projection: text("name")?,
        streams: text("streams")?,
        from: position(own.get("from").map_or("", |from| from.as_str()))?,
        to: position(&text("to")?)?,
    }))
}

fn failed(error: state::Error) -> Error {
    match error {
        state::Error::Invalid(why) => invalid(why),
        error => Failing::Projection.by(&error),
    }
}

/// How the names of metadata begin that are about a projection.
const PREFIX: &str = "projection.";
const NAMES: [&str; 4] = ["name", "streams", "from", "to"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_says_all_of_it_or_nothing() {
        let of = |pairs: &[(&str, &str)]| {
            moving(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let (name, streams, to) =
            (("projection.name", "p"), ("projection.streams", "s"), ("projection.to", "1:7"));
        assert_eq!(of(&[("other", "x")]), Ok(None));
        let begun = of(&[name, streams, to]).unwrap().unwrap();
        assert_eq!((begun.from, begun.to.to_string()), (Position::default(), "1:7".to_owned()));
        assert_eq!(
            of(&[name, streams, ("projection.from", "start"), to]).unwrap().unwrap().from,
            Position::default()
        );
        for (odd, why) in [
            (&[name, to][..], "projection.streams"),
            (&[name, streams], "projection.to"),
            (&[name, streams, to, ("projection.form", "1:2")], "none of"),
            (&[name, streams, ("projection.to", "soon")], "no position"),
        ] {
            assert!(of(odd).is_err_and(|said| said.contains(why)), "{odd:?}");
        }
    }
}
