//! What can be set for configuration in a PostgreSQL.

use crate::postgres;
use crate::properties::{Invalid, Properties};

/// What is set for configuration in a PostgreSQL.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) place: postgres::Settings,
    /// The table of the items.
    pub(super) table: String,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        set.needed("table")?;
        Ok(Settings { place: postgres::Settings::new(set)?, table: postgres::name(set, "table", "")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_name_and_has_to_be_set() {
        let set = |table| {
            let all = [("connectionString", "host=a user=u"), ("table", table)];
            Settings::new(&Properties::from_iter(all)).map(|settings| settings.table)
        };
        assert_eq!(set("shop.limits"), Ok("shop.limits".to_owned()));
        for odd in ["", "a b", "a;drop", "1a"] {
            assert!(set(odd).is_err_and(|invalid| invalid.name == "table"), "{odd}");
        }
    }
}
