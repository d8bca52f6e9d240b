//! `secretstores.local.env`: the variables of this process' own environment.
//!
//! As with Dapr, one that is not there is an empty secret, and so are those that hold the tokens of the API itself, or a key of secrets:
//! whoever may ask for secrets would otherwise be whoever may ask for anything.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::{Error, Secret, Store};
use crate::{Properties, Reply};

/// The variables of an environment.
pub struct Env {
    /// What precedes each name.
    prefix: String,
    variables: BTreeMap<String, String>,
}

impl Env {
    /// Of these variables, by what is set; nothing must be.
    pub fn new(set: &Properties, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Env {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let variables = variables.into_iter().filter_map(text);
        Env {
            prefix: set.text("prefix").unwrap_or_default().to_owned(),
            variables: variables.filter(|(name, _)| is_open(name)).collect(),
        }
    }

    fn find(&self, name: &str) -> Secret {
        let value = self.variables.get(&format!("{}{name}", self.prefix));
        Secret::from([(name.to_owned(), value.cloned().unwrap_or_default())])
    }
}

impl Store for Env {
    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, Error>> {
        Box::pin(async move { Ok(self.find(name)) })
    }

    fn all(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, Error>> {
        let names = self.variables.keys().filter_map(|name| name.strip_prefix(&self.prefix));
        let all =
            names.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), self.find(name))).collect();
        Box::pin(async move { Ok(all) })
    }
}

fn is_open(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name != "APP_API_TOKEN" && name != "COLONY_SECRETS_KEY" && !name.starts_with("DAPR_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(set: &[(&str, &str)]) -> Env {
        let variables =
            [("A", "1"), ("SHOP_A", "2"), ("SHOP_", "3"), ("DAPR_API_TOKEN", "t"), ("App_Api_Token", "t")];
        Env::new(&Properties::from_iter(set.iter().copied()), variables.map(|(k, v)| (k.into(), v.into())))
    }

    fn one(name: &str, value: &str) -> Result<Secret, Error> {
        Ok(Secret::from([(name.to_owned(), value.to_owned())]))
    }

    #[tokio::test]
    async fn a_variable_is_a_secret_and_one_that_is_not_there_is_empty() {
        assert_eq!(env(&[]).get("A").await, one("A", "1"));
        assert_eq!(env(&[]).get("B").await, one("B", ""));
        assert_eq!(env(&[("prefix", "SHOP_")]).get("A").await, one("A", "2"));
    }

    #[tokio::test]
    async fn tokens_of_the_api_are_not_told() {
        assert_eq!(env(&[]).get("DAPR_API_TOKEN").await, one("DAPR_API_TOKEN", ""));
        assert_eq!(env(&[("prefix", "DAPR_")]).get("API_TOKEN").await, one("API_TOKEN", ""));
        assert!(env(&[]).all().await.is_ok_and(|all| all.keys().eq(["A", "SHOP_", "SHOP_A"])));
    }

    #[tokio::test]
    async fn all_are_those_with_the_prefix() {
        let all = env(&[("prefix", "SHOP_")]).all().await;
        assert_eq!(all, Ok(BTreeMap::from([("A".to_owned(), one("A", "2").unwrap())])));
    }
}
