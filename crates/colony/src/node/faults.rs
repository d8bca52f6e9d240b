//! Faults of a running node: added and cleared by command, told when they begin and end.

use std::sync::Arc;
use std::time::Duration;

use mesh::{FAULTS_MAX, FaultEnd, FaultError, FaultStatus};

use super::Node;
use crate::faults::{Wanted, sentence, struck};

/// What is waited beyond a fault's time, so that it is over then.
const AFTER: Duration = Duration::from_millis(5);

impl Node {
    /// Has a fault strike, and tells of it now and at its end.
    ///
    /// # Errors
    /// A sentence for whoever asked.
    pub(super) fn add_fault(self: &Arc<Node>, wanted: &Wanted) -> Result<FaultStatus, String> {
        let config = wanted.config()?;
        let fault = self.mesh.add_fault(&wanted.on, config, wanted.lasts()).map_err(explain)?;
        self.printer.fault_begins(&fault);
        let (node, lasts) = (self.clone(), wanted.lasts() + AFTER);
        tokio::spawn(async move {
            tokio::time::sleep(lasts).await;
            node.tell_ended_faults();
        });
        Ok(fault)
    }

    /// Ends one, or all.
    ///
    /// # Errors
    /// A sentence for whoever asked.
    pub(super) fn clear_faults(&self, id: Option<u64>) -> Result<Vec<FaultStatus>, String> {
        let cleared = self.mesh.clear_faults(id).map_err(explain)?;
        cleared.iter().for_each(|fault| self.printer.fault_ended(fault, "cleared", "is cleared"));
        Ok(cleared)
    }

    /// Tells of those that have ended by themselves; returns the sentences.
    pub(super) fn tell_ended_faults(&self) -> Vec<String> {
        let ended = self.mesh.ended_faults().into_iter();
        let told = ended.map(|(fault, why)| {
            let (word, said) = match why {
                FaultEnd::Expired => ("expired", "is over".to_owned()),
                FaultEnd::TargetGone => ("target-gone", format!("is over: {} is no more", fault.on)),
            };
            self.printer.fault_ended(&fault, word, &said);
            format!("fault {} {said}; it struck {}", sentence(&fault), struck(&fault))
        });
        told.collect()
    }
}

fn explain(error: FaultError) -> String {
    match error {
        FaultError::Nonsense(sentence) => sentence,
        FaultError::TooMany => {
            format!("{FAULTS_MAX} faults are in force, which is the most; clear one first")
        }
        FaultError::NoFault { known } if known.is_empty() => "no fault is in force".to_owned(),
        FaultError::NoFault { known } => {
            let known: Vec<String> = known.iter().map(u64::to_string).collect();
            format!("there is no fault of this number; there are {}", known.join(", "))
        }
        FaultError::NoTarget { calls, upstreams } if calls.is_empty() && upstreams.is_empty() => {
            "there is no call and no service yet".to_owned()
        }
        FaultError::NoTarget { calls, upstreams } => {
            let known: Vec<String> = calls.into_iter().chain(upstreams).collect();
            format!("there is no call and no service of this name; there are\n    {}", known.join("\n    "))
        }
    }
}
