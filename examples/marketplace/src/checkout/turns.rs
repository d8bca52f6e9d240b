//! Turns: whoever works under the same name waits for the one before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Who is at work, by name. Holds only the names in use.
#[derive(Default)]
pub struct Turns(Arc<Mutex<Names>>);

type Names = HashMap<String, Arc<tokio::sync::Mutex<()>>>;

/// A turn, until it is dropped.
pub struct Turn {
    names: Arc<Mutex<Names>>,
    name: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else holds a turn under `name`.
    pub async fn take(&self, name: &str) -> Turn {
        let mut turn = Turn { names: self.0.clone(), name: name.to_owned(), held: None };
        let lock = {
            let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            names.entry(name.to_owned()).or_default().clone()
        };
        turn.held = Some(lock.lock_owned().await);
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        self.held = None;
        // Whoever waits or works holds a second reference; it can't grow while `names` is locked.
        if names.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            names.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_exclude_each_other_and_leave_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        let other = turns.take("b").await;
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), turns.take("a")).await;
        assert!(waits.is_err());
        drop(first);
        let second = turns.take("a").await;
        drop((second, other));
        assert!(turns.0.lock().expect("no panic").is_empty());
    }
}
