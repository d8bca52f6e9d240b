//! What can be set for state in a PostgreSQL.

use std::time::Duration;

use super::Version;
use super::migrate::V2_TABLE;
use crate::postgres::{self, name};
use crate::properties::{Invalid, Properties};

/// What is set for state in a PostgreSQL.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) place: postgres::Settings,
    pub(super) version: Version,
    /// The table of the items.
    pub(super) table: String,
    /// The table of what is known of tables.
    pub(super) metadata_table: String,
    /// How often what has expired is deleted; None: never. Default 1 h.
    pub(super) cleanup: Option<Duration>,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(version: Version, set: &Properties) -> Result<Settings, Invalid> {
        let table = match version {
            Version::V1 => name(set, "tableName", V2_TABLE)?,
            Version::V2 => format!("{}{V2_TABLE}", name(set, "tablePrefix", "")?),
        };
        let names = ["cleanupInterval", "cleanupIntervalInSeconds"];
        let cleanup = match names.iter().any(|name| set.text(name).is_some()) {
            true => postgres::seconds(set, &names)?,
            false => Some(CLEANUP),
        };
        Ok(Settings {
            place: postgres::Settings::new(set)?,
            version,
            table,
            metadata_table: name(set, "metadataTableName", "dapr_metadata")?,
            cleanup,
        })
    }
}

const CLEANUP: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(version: Version, all: &[(&str, &str)]) -> Result<Settings, Invalid> {
        let string = ("connectionString", "host=a user=u");
        Settings::new(version, &Properties::from_iter([string].iter().chain(all).copied()))
    }

    #[test]
    fn tables_are_called_as_with_dapr() {
        let of = |version, all: &[_]| {
            let settings = set(version, all).expect("it is right");
            (settings.table, settings.metadata_table, settings.cleanup.map(|time| time.as_secs()))
        };
        assert_eq!(of(Version::V1, &[]), ("state".into(), "dapr_metadata".into(), Some(3_600)));
        let own = [("tableName", "shop.items"), ("metadataTableName", "m"), ("cleanupInterval", "0")];
        assert_eq!(of(Version::V1, &own), ("shop.items".into(), "m".into(), None));
        let prefix = [("tablePrefix", "shop_"), ("cleanupIntervalInSeconds", "5")];
        assert_eq!(of(Version::V2, &prefix), ("shop_state".into(), "dapr_metadata".into(), Some(5)));
    }

    #[test]
    fn what_is_more_than_a_name_is_no_table() {
        for odd in ["a b", "a;drop table b", "a\"", "1a", "ä"] {
            assert!(set(Version::V1, &[("tableName", odd)]).is_err(), "{odd}");
            assert!(set(Version::V2, &[("tablePrefix", odd)]).is_err(), "{odd}");
            assert!(set(Version::V2, &[("metadataTableName", odd)]).is_err(), "{odd}");
        }
    }
}
