//! Secrets: of stores that are declared, as far as the application may know them. There is no store otherwise: what
//! nobody has written down is no secret.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use components::secret::{self, Scope, Secret};
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::config::{Block, Config};
use crate::error::Error;
use crate::resiliency::Family;

/// The stores of secrets that are declared, by name.
pub(crate) struct SecretStores(HashMap<String, SecretStore>);

/// A store of secrets.
struct SecretStore {
    store: Arc<dyn secret::Store>,
    scope: Scope,
}

impl SecretStores {
    pub(crate) fn new(config: &Config) -> SecretStores {
        let declared = config.components.iter().filter_map(|component| {
            let Block::Secrets { store, scope } = &component.block else { return None };
            let store = SecretStore { store: Arc::clone(&store.0), scope: scope.clone() };
            Some((component.name.clone(), store))
        });
        SecretStores(declared.collect())
    }
}

impl Api {
    /// A secret.
    ///
    /// # Errors
    ///
    /// If there is no such store, the application may not know the secret, or it cannot be had.
    pub async fn secret(&self, store: &str, name: &str) -> Result<Secret, Error> {
        let found = self.secret_store(store)?;
        if !found.scope.allows(name) {
            let message = format!("access denied by policy to get {name:?} from {store:?}");
            let status = StatusCode::FORBIDDEN;
            return Err(Error::new("ERR_PERMISSION_DENIED", status, Code::PermissionDenied, message));
        }
        let asking = self.guards.asking(Family::Secrets, store);
        asking.run(|| found.store.get(name)).await.map_err(|error| {
            failed(format!("failed getting secret with key {name} from secret store {store}: {error}"))
        })
    }

    /// All secrets of a store that the application may know.
    ///
    /// # Errors
    ///
    /// If there is no such store, or it cannot be read.
    pub async fn secrets(&self, store: &str) -> Result<BTreeMap<String, Secret>, Error> {
        let found = self.secret_store(store)?;
        let all = self.guards.asking(Family::Secrets, store).run(|| found.store.all()).await;
        let mut all = all
            .map_err(|error| failed(format!("failed getting secrets from secret store {store}: {error}")))?;
        all.retain(|name, _| found.scope.allows(name));
        Ok(all)
    }

    fn secret_store(&self, name: &str) -> Result<&SecretStore, Error> {
        let stores = &self.secret_stores.0;
        stores.get(name).ok_or_else(|| match stores.is_empty() {
            true => Error::new(
                "ERR_SECRET_STORES_NOT_CONFIGURED",
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::FailedPrecondition,
                "secret store is not configured",
            ),
            false => Error::new(
                "ERR_SECRET_STORE_NOT_FOUND",
                StatusCode::UNAUTHORIZED,
                Code::InvalidArgument,
                format!("failed finding secret store with key {name}"),
            ),
        })
    }
}

fn failed(message: String) -> Error {
    Error::new("ERR_SECRET_GET", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
}
