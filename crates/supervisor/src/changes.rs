//! What differs between two lists of services, and which services cannot become ready any more. Pure.

use crate::config::{Run, Service, Source};
use crate::error::{Change, NotReady};
use crate::status::{ServiceStatus, State};
use std::collections::BTreeSet;

/// How a service differs from what it was.
pub(crate) fn between(old: &Service, new: &Service) -> Change {
    if needs_roll(old, new) {
        return Change::Rolled;
    }
    match (old.instances(), new.instances()) {
        (from, to) if from != to => Change::Scaled { from, to },
        _ if old != new => Change::Adjusted,
        _ => Change::Unchanged,
    }
}

/// Whether what runs, or how it is found to be well, differs.
fn needs_roll(old: &Service, new: &Service) -> bool {
    let what_runs = match (&old.source, &new.source) {
        (Source::Run(old), Source::Run(new)) => process(old) != process(new),
        (old, new) => old != new,
    };
    what_runs || old.ready != new.ready || old.live != new.live
}

fn process(run: &Run) -> impl PartialEq + '_ {
    (&run.command, &run.build, &run.dir, &run.env, run.port)
}

/// `None` while some service may still become ready by itself; otherwise those that will not.
pub(crate) fn settled(services: &[ServiceStatus]) -> Option<Vec<NotReady>> {
    let stuck = stuck(services);
    let is_settled = |s: &ServiceStatus| s.state == State::Ready || stuck.contains(s.name.as_str());
    let rest = services.iter().filter(|s| s.state != State::Ready);
    services.iter().all(is_settled).then(|| rest.map(not_ready).collect())
}

/// The services that fail, and those that wait for them.
pub(crate) fn stuck(services: &[ServiceStatus]) -> BTreeSet<&str> {
    let mut stuck: BTreeSet<&str> =
        services.iter().filter(|s| is_failing(s)).map(|s| s.name.as_str()).collect();
    loop {
        let before = stuck.len();
        let held_up = |s: &&ServiceStatus| s.waits_for.iter().any(|name| stuck.contains(name.as_str()));
        let more: Vec<&str> = services.iter().filter(held_up).map(|s| s.name.as_str()).collect();
        stuck.extend(more);
        if stuck.len() == before {
            return stuck;
        }
    }
}

fn is_failing(status: &ServiceStatus) -> bool {
    match status.state {
        State::CrashLoop | State::Failed | State::Stopped => true,
        State::Degraded => status.why.is_some(),
        State::Waiting | State::Building | State::Starting | State::Ready => false,
    }
}

fn not_ready(status: &ServiceStatus) -> NotReady {
    let why = status.why.clone().unwrap_or_else(|| "it was stopped".to_owned());
    NotReady { service: status.name.clone(), state: status.state, why, last_lines: status.last_lines.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::service;
    use std::time::Duration;

    fn changed(change: impl FnOnce(&mut Service, &mut Run)) -> Change {
        let old = service("good", 2);
        let mut new = old.clone();
        let Source::Run(mut run) = new.source.clone() else { unreachable!() };
        change(&mut new, &mut run);
        if new.run().is_some() {
            new.source = Source::Run(run);
        }
        between(&old, &new)
    }

    #[test]
    fn only_what_runs_or_is_asked_needs_a_roll() {
        assert_eq!(changed(|_, _| {}), Change::Unchanged);
        assert_eq!(changed(|_, run| run.instances = 3), Change::Scaled { from: 2, to: 3 });
        assert_eq!(changed(|_, run| run.grace = Duration::ZERO), Change::Adjusted);
        assert_eq!(changed(|service, _| service.after.push("b".into())), Change::Adjusted);
        assert_eq!(changed(|_, run| run.command.push('x')), Change::Rolled);
        assert_eq!(changed(|_, run| drop(run.env.insert("A".into(), "b".into()))), Change::Rolled);
        assert_eq!(changed(|_, run| run.port = Some(1)), Change::Rolled);
        assert_eq!(changed(|service, _| service.ready.failures = 9), Change::Rolled);
        let url = Source::Url { authorities: vec!["localhost:1".into()] };
        assert_eq!(changed(|service, _| service.source = url), Change::Rolled);
    }

    fn status(name: &str, state: State, waits_for: &[&str]) -> ServiceStatus {
        ServiceStatus {
            name: name.into(),
            state,
            why: None,
            last_lines: Vec::new(),
            waits_for: waits_for.iter().map(|&name| name.into()).collect(),
            rollout: None,
            wanted: 1,
            ready: 0,
            command: String::new(),
            external: false,
            instances: Vec::new(),
        }
    }

    #[test]
    fn what_waits_for_a_failed_one_is_settled_too() {
        let mut services = vec![
            status("a", State::CrashLoop, &[]),
            status("b", State::Waiting, &["a"]),
            status("c", State::Waiting, &["b"]),
            status("d", State::Starting, &[]),
        ];
        assert_eq!(settled(&services), None);
        services[3].state = State::Ready;
        let names: Vec<_> = settled(&services).unwrap().into_iter().map(|n| n.service).collect();
        assert_eq!(names, ["a", "b", "c"]);
        services[1] = status("b", State::Waiting, &[]);
        assert_eq!(settled(&services), None);
    }
}
