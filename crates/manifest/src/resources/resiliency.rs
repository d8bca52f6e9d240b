//! Resources of kind `Resiliency`: policies by their names, and whose calls have which of them. Several resources add up,
//! a later one before an earlier, so names are looked up when all have been read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::nearest;
use crate::typed::{AsWritten, At, Cx, Field, List, Map, Text, Typed, keys};
use crate::units;
use crate::yaml::{Node, clip};

use super::{API_VERSION, Meta};

/// What all resources say.
#[derive(Clone, Debug, Default)]
pub struct Resiliency(Vec<Document>);

/// What holds for the calls of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Of these applications, by their ids.
    pub apps: BTreeMap<String, Policies>,
    /// Of all others.
    pub other_apps: Policies,
    /// Of what is asked of components.
    pub outbound: Components,
    /// Of what components bring.
    pub inbound: Components,
}

/// What holds for components, one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Components {
    /// For these, by their names.
    pub named: BTreeMap<String, Policies>,
    /// For all others.
    pub others: BTreeMap<Family, Policies>,
}

/// What a component is, as the names of default policies have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `Binding`.
    Binding,
    /// `Configuration`.
    Configuration,
    /// `Lock`.
    Lock,
    /// `Pubsub`.
    PubSub,
    /// `Secretstore`.
    Secrets,
    /// `Statestore`.
    State,
}

/// What holds for calls of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Longest time to an answer's beginning.
    pub timeout: Option<Duration>,
    /// What is tried again.
    pub retry: Option<Retry>,
    /// When it is left alone.
    pub breaker: Option<Breaker>,
}

/// What is tried again, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The wait, if it is always the same; else it grows up to the second.
    pub constant: Option<Duration>,
    /// The longest wait of one that grows.
    pub longest: Duration,
    /// Tries after the first; None: any number.
    pub max: Option<u32>,
    /// Statuses of HTTP, from and to, if only some are tried again.
    pub http: Option<Vec<(u16, u16)>>,
    /// Those of gRPC.
    pub grpc: Option<Vec<(u16, u16)>>,
}

/// When one is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// How many may find out whether it is well again.
    pub probes: u32,
    /// When it forgets; zero: never.
    pub interval: Duration,
    /// For how long it is left alone; zero: the default.
    pub open_for: Duration,
    /// The condition, in CEL.
    pub trip: String,
    /// Of how many methods one is kept.
    pub methods_max: usize,
    /// Where the condition is written, or else the breaker.
    pub span: Span,
}

#[derive(Clone, Debug, Default)]
struct Document {
    scopes: Vec<String>,
    timeouts: BTreeMap<String, Duration>,
    retries: BTreeMap<String, Retry>,
    breakers: BTreeMap<String, Breaker>,
    /// What has a name, also if it could not be read: timeouts, retries, breakers.
    names: [Vec<String>; 3],
    apps: Vec<(String, Named)>,
    outbound: Vec<(String, Named)>,
    inbound: Vec<(String, Named)>,
}

/// Policies by their names.
#[derive(Clone, Debug, Default)]
struct Named {
    timeout: Option<(String, Span)>,
    retry: Option<(String, Span)>,
    breaker: Option<(String, Span)>,
    methods_max: Option<usize>,
}

keys! {
    /// A resource of kind `Resiliency`.
    Resource, "a resiliency";
    /// `dapr.io/v1alpha1`.
    "apiVersion" => api_version: Text = required,
    /// `Resiliency`.
    "kind" => kind: Text = required,
    /// What it is called.
    "metadata" => metadata: Meta = required,
    /// What it says.
    "spec" => spec: Spec = required,
    /// The ids of the applications whose calls it is for. Default: all.
    "scopes" => scopes: List<Text>,
}

keys! {
    /// What it says.
    Spec, "a resiliency's spec";
    /// By their names.
    "policies" => policies: Defined,
    /// Whose calls have which.
    "targets" => targets: Targets,
}

keys! {
    /// Policies by their names.
    Defined, "`policies`";
    /// A time each: `5s`, or a number of milliseconds.
    "timeouts" => timeouts: Map<AsWritten>,
    /// What is tried again, and when.
    "retries" => retries: Map<RetrySpec>,
    /// When somebody is left alone.
    "circuitBreakers" => breakers: Map<BreakerSpec>,
}

keys! {
    /// What is tried again, and when.
    RetrySpec, "a retry";
    /// `constant` or `exponential`. Default constant.
    "policy" => policy: Text,
    /// The wait of a constant one. Default 5s.
    "duration" => duration: AsWritten,
    /// The longest wait of an exponential one. Default 60s.
    "maxInterval" => longest: AsWritten,
    /// Tries after the first; -1: any number. Default -1.
    "maxRetries" => max: AsWritten,
    /// Which statuses, if not all that fail.
    "matching" => matching: Matching,
}

keys! {
    /// Statuses.
    Matching, "`matching`";
    /// Of HTTP: `429,500-599`.
    "httpStatusCodes" => http: AsWritten,
    /// Of gRPC: `1-4,8`.
    "gRPCStatusCodes" => grpc: AsWritten,
}

keys! {
    /// When somebody is left alone.
    BreakerSpec, "a circuit breaker";
    /// How many may find out whether it is well again. Default 1.
    "maxRequests" => probes: AsWritten,
    /// After which time it forgets what it has counted. Default 0s: never.
    "interval" => interval: AsWritten,
    /// For how long it is left alone. Default 60s.
    "timeout" => timeout: AsWritten,
    /// The condition, in CEL. Default `consecutiveFailures > 5`.
    "trip" => trip: AsWritten,
}

keys! {
    /// Whose calls have which policies.
    Targets, "`targets`";
    /// Applications by their ids.
    "apps" => apps: Map<AppTarget>,
    /// Has no effect here.
    "actors" => actors: Map<ActorTarget>,
    /// Components by their names.
    "components" => components: Map<ComponentTarget>,
}

keys! {
    /// The policies of an application.
    AppTarget, "an application's policies";
    /// The name of a time.
    "timeout" => timeout: Text,
    /// The name of a retry.
    "retry" => retry: Text,
    /// The name of a circuit breaker, of which each method has its own.
    "circuitBreaker" => breaker: Text,
    /// Of how many methods one is kept. Default 100.
    "circuitBreakerCacheSize" => methods_max: AsWritten,
}

keys! {
    /// The policies of an actor.
    ActorTarget, "an actor's policies";
    /// The name of a time.
    "timeout" => timeout: Text,
    /// The name of a retry.
    "retry" => retry: Text,
    /// The name of a circuit breaker.
    "circuitBreaker" => breaker: Text,
    /// What has a breaker of its own.
    "circuitBreakerScope" => scope: Text,
    /// Of how many one is kept.
    "circuitBreakerCacheSize" => kept: AsWritten,
}

keys! {
    /// The policies of a component.
    ComponentTarget, "a component's policies";
    /// What it brings to the application.
    "inbound" => inbound: Names,
    /// What the application asks of it.
    "outbound" => outbound: Names,
}

keys! {
    /// Policies.
    Names, "policies";
    /// The name of a time.
    "timeout" => timeout: Text,
    /// The name of a retry.
    "retry" => retry: Text,
    /// The name of a circuit breaker.
    "circuitBreaker" => breaker: Text,
}

impl Resiliency {
    /// Reads one more.
    pub(super) fn add(&mut self, node: &Node, found: &mut Vec<Diagnostic>) {
        let mut cx = Cx::default();
        let typed = Resource::decode(node, &mut cx);
        found.append(&mut cx.found);
        let Some(resource) = typed else { return };
        if let Some(version) = resource.api_version.get().filter(|version| version.value.0 != API_VERSION) {
            let message = format!("there is no resiliency of version `{}`", clip(&version.value.0));
            let one = Diagnostic::error(codes::UNSERVED, version.span, message);
            found.push(one.label(format!("write `{API_VERSION}`")));
        }
        let Some(spec) = resource.spec.value() else { return };
        let mut document = Document::default();
        if let Some(scopes) = resource.scopes.value() {
            document.scopes = scopes.items.iter().map(|at| at.value.0.clone()).collect();
        }
        if let Some(policies) = spec.policies.value() {
            document.define(policies, found);
        }
        if let Some(targets) = spec.targets.value() {
            document.target(targets, found);
        }
        self.0.push(document);
    }

    /// Looks up what was named.
    pub(super) fn check(&self, found: &mut Vec<Diagnostic>) {
        let known =
            |kind: usize| self.0.iter().flat_map(move |document| &document.names[kind]).map(String::as_str);
        let all = |document: &'_ Document| {
            let Document { apps, outbound, inbound, .. } = document;
            [apps, outbound, inbound]
                .into_iter()
                .flatten()
                .map(|(_, named)| named.clone())
                .collect::<Vec<_>>()
        };
        for named in self.0.iter().flat_map(all) {
            for (given, what, known) in [
                (&named.timeout, "timeout", known(0).collect::<Vec<_>>()),
                (&named.retry, "retry", known(1).chain(BUILT_IN.map(|(name, _)| name)).collect()),
                (&named.breaker, "circuit breaker", known(2).collect()),
            ] {
                let Some((name, span)) = given.as_ref().filter(|(name, _)| !known.contains(&name.as_str()))
                else {
                    continue;
                };
                let message = format!("there is no {what} `{}`", clip(name));
                let label = nearest::nearest(name, known.iter().copied())
                    .map_or_else(|| "not declared".to_owned(), |near| format!("did you mean `{near}`?"));
                let help = "declare it below `policies`, in this resource or another";
                found.push(Diagnostic::error(codes::UNDECLARED, *span, message).label(label).help(help));
            }
        }
    }

    /// What holds for the calls of an application. A later resource goes before an earlier.
    pub fn of(&self, app_id: &str) -> Calls {
        let own = self
            .0
            .iter()
            .filter(|one| one.scopes.is_empty() || one.scopes.iter().any(|scope| scope == app_id));
        let (mut timeouts, mut breakers) = (BTreeMap::new(), BTreeMap::new());
        let (mut named, mut outbound, mut inbound) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut retries: BTreeMap<String, Retry> =
            BUILT_IN.into_iter().map(|(name, pace)| (name.to_owned(), pace.retry())).collect();
        for document in own {
            timeouts.extend(document.timeouts.clone());
            breakers.extend(document.breakers.clone());
            retries.extend(document.retries.clone());
            named.extend(document.apps.iter().cloned());
            outbound.extend(document.outbound.iter().cloned());
            inbound.extend(document.inbound.iter().cloned());
        }
        let policies = |named: BTreeMap<String, Named>| -> BTreeMap<String, Policies> {
            let policies = |named: Named| {
                let breaker = named.breaker.and_then(|(name, _)| breakers.get(&name).cloned());
                Policies {
                    timeout: named.timeout.and_then(|(name, _)| timeouts.get(&name).copied()),
                    retry: named.retry.and_then(|(name, _)| retries.get(&name).cloned()),
                    breaker: breaker.map(|breaker: Breaker| Breaker {
                        methods_max: named.methods_max.unwrap_or(breaker.methods_max),
                        ..breaker
                    }),
                }
            };
            named.into_iter().map(|(name, named)| (name, policies(named))).collect()
        };
        // The most particular name first.
        let default = |whom: &[String]| {
            let names = |what: &str| -> Vec<String> {
                whom.iter().map(|whom| format!("Default{whom}{what}Policy")).collect()
            };
            Policies {
                timeout: names("Timeout").iter().find_map(|name| timeouts.get(name).copied()),
                retry: names("Retry").iter().find_map(|name| retries.get(name).cloned()),
                breaker: names("CircuitBreaker").iter().find_map(|name| breakers.get(name).cloned()),
            }
        };
        let others = |way: &str| -> BTreeMap<Family, Policies> {
            let of = |(family, name): (Family, &str)| {
                let whom =
                    [format!("{name}Component{way}"), format!("Component{way}"), "Component".to_owned()];
                (family, default(&[whom.as_slice(), &[String::new()]].concat()))
            };
            FAMILIES.into_iter().map(of).filter(|(_, one)| *one != Policies::default()).collect()
        };
        Calls {
            other_apps: default(&["App".to_owned(), String::new()]),
            apps: policies(named),
            outbound: Components { named: policies(outbound), others: others("Outbound") },
            inbound: Components { named: policies(inbound), others: others("Inbound") },
        }
    }
}

impl Document {
    fn define(&mut self, policies: &Defined, found: &mut Vec<Diagnostic>) {
        self.names = [names(&policies.timeouts), names(&policies.retries), names(&policies.breakers)];
        for (name, field) in policies.timeouts.value().map_or(&[][..], |map| &map.0) {
            if let Some(time) = field.get().and_then(|at| time(at, found)) {
                self.timeouts.insert(name.value.clone(), time);
            }
        }
        for (name, field) in policies.retries.value().map_or(&[][..], |map| &map.0) {
            let Some(mut retry) = field.value().and_then(|spec| retry(spec, found)) else { continue };
            if name.value == PROTECTED {
                let message = format!("`{PROTECTED}` stays as it is");
                found.push(Diagnostic::warning(codes::NO_EFFECT, name.span, message).label("has no effect"));
                continue;
            }
            let is_built_in = BUILT_IN.iter().any(|(built_in, _)| *built_in == name.value);
            if is_built_in && retry.max.is_some_and(|max| max < BUILT_IN_MIN) {
                let message = format!("`{}` has at least {BUILT_IN_MIN} retries", clip(&name.value));
                found.push(Diagnostic::warning(codes::NO_EFFECT, name.span, message).label("taken for 3"));
                retry.max = Some(BUILT_IN_MIN);
            }
            self.retries.insert(name.value.clone(), retry);
        }
        for (name, field) in policies.breakers.value().map_or(&[][..], |map| &map.0) {
            if let Some(breaker) = field.get().and_then(|at| breaker(at, found)) {
                self.breakers.insert(name.value.clone(), breaker);
            }
        }
    }

    fn target(&mut self, targets: &Targets, found: &mut Vec<Diagnostic>) {
        if let Some(key) = targets.actors.key() {
            let message = "policies of actors have no effect here";
            let one = Diagnostic::warning(codes::NO_EFFECT, key, message);
            found.push(one.label("only those of `apps` and `components` have"));
        }
        let named = |text: &Field<Text>| {
            let at = text.get()?;
            (!at.value.0.is_empty()).then(|| (at.value.0.clone(), at.span))
        };
        for (id, field) in targets.apps.value().map_or(&[][..], |map| &map.0) {
            let Some(target) = field.value() else { continue };
            let size = target.methods_max.get().and_then(|at| number(at, 0, 1_000_000, found));
            let one = Named {
                timeout: named(&target.timeout),
                retry: named(&target.retry),
                breaker: named(&target.breaker),
                methods_max: size.filter(|size| *size > 0).map(|size| size as usize),
            };
            self.apps.push((id.value.clone(), one));
        }
        for (name, field) in targets.components.value().map_or(&[][..], |map| &map.0) {
            let Some(target) = field.value() else { continue };
            for (way, all) in [(&target.outbound, &mut self.outbound), (&target.inbound, &mut self.inbound)] {
                let Some(names) = way.value() else { continue };
                let one = Named {
                    timeout: named(&names.timeout),
                    retry: named(&names.retry),
                    breaker: named(&names.breaker),
                    methods_max: None,
                };
                all.push((name.value.clone(), one));
            }
        }
    }
}

fn names<T>(map: &Field<Map<T>>) -> Vec<String> {
    map.value().map_or(&[][..], |map| &map.0).iter().map(|(name, _)| name.value.clone()).collect()
}

fn retry(spec: &RetrySpec, found: &mut Vec<Diagnostic>) -> Option<Retry> {
    let is_growing = match spec.policy.get() {
        None => false,
        Some(at) if at.value.0.eq_ignore_ascii_case("constant") || at.value.0.is_empty() => false,
        Some(at) if at.value.0.eq_ignore_ascii_case("exponential") => true,
        Some(at) => {
            let message = format!("a retry's `policy` is `{}`", clip(&at.value.0));
            let one = Diagnostic::error(codes::WRONG_TYPE, at.span, message);
            found.push(one.label("expected `constant` or `exponential`"));
            return None;
        }
    };
    let mut unused = |field: &Field<AsWritten>, message: &str| {
        if let Some(key) = field.key() {
            found.push(Diagnostic::warning(codes::NO_EFFECT, key, message).label("has no effect"));
        }
    };
    match is_growing {
        true => unused(&spec.duration, "an exponential retry has no `duration`, but a `maxInterval`"),
        false => unused(&spec.longest, "a constant retry has no `maxInterval`, but a `duration`"),
    }
    let mut of = |field: &Field<AsWritten>, default: Duration| match field.get() {
        Some(at) => time(at, found),
        None => Some(default),
    };
    let constant = of(&spec.duration, WAIT)?;
    let longest = of(&spec.longest, LONGEST)?;
    let max = match spec.max.get() {
        Some(at) => number(at, -1, i64::from(u32::MAX), found)?,
        None => -1,
    };
    let matching = spec.matching.value();
    let mut codes = |field: Option<&Field<AsWritten>>| match field.and_then(Field::get) {
        Some(at) if !at.value.0.trim().is_empty() => ranges(at, found).map(Some),
        _ => Some(None),
    };
    Some(Retry {
        constant: (!is_growing).then_some(constant),
        longest,
        max: u32::try_from(max).ok(),
        http: codes(matching.map(|matching| &matching.http))?,
        grpc: codes(matching.map(|matching| &matching.grpc))?,
    })
}

fn breaker(at: &At<BreakerSpec>, found: &mut Vec<Diagnostic>) -> Option<Breaker> {
    let spec = &at.value;
    let probes = match spec.probes.get() {
        Some(at) => number(at, 0, i64::from(u32::MAX), found)?,
        None => 1,
    };
    let mut of = |field: &Field<AsWritten>| match field.get() {
        Some(at) => time(at, found),
        None => Some(Duration::ZERO),
    };
    let trip = spec.trip.get().filter(|trip| !trip.value.0.trim().is_empty());
    Some(Breaker {
        probes: u32::try_from(probes).unwrap_or(1),
        interval: of(&spec.interval)?,
        open_for: of(&spec.timeout)?,
        trip: trip.map_or_else(|| TRIP.to_owned(), |trip| trip.value.0.clone()),
        methods_max: METHODS,
        span: trip.map_or(at.span, |trip| trip.span),
    })
}

/// A duration, or a number of milliseconds.
fn time(at: &At<AsWritten>, found: &mut Vec<Diagnostic>) -> Option<Duration> {
    let text = at.value.0.trim();
    if let Ok(millis) = text.parse::<u64>() {
        return Some(Duration::from_millis(millis));
    }
    let time = units::duration(text).ok();
    if time.is_none() {
        let message = format!("`{}` is no duration", clip(text));
        let one = Diagnostic::error(codes::DURATION, at.span, message);
        found.push(one.label("write `5s`, `1m30s`, or a number of milliseconds"));
    }
    time
}

fn number(at: &At<AsWritten>, least: i64, most: i64, found: &mut Vec<Diagnostic>) -> Option<i64> {
    let number = at.value.0.trim().parse::<i64>().ok().filter(|number| (least..=most).contains(number));
    if number.is_none() {
        let message = format!("`{}` is no number from {least} to {most}", clip(&at.value.0));
        found.push(Diagnostic::error(codes::NUMBER, at.span, message).label("expected a whole number"));
    }
    number
}

/// `429,500-599`.
fn ranges(at: &At<AsWritten>, found: &mut Vec<Diagnostic>) -> Option<Vec<(u16, u16)>> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let range: (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (range.0 <= range.1).then_some(range)
    };
    let ranges: Option<Vec<_>> = at.value.0.split(',').map(range).collect();
    if ranges.is_none() {
        let message = format!("`{}` is no list of statuses", clip(&at.value.0));
        let one = Diagnostic::error(codes::STATUS, at.span, message);
        found.push(one.label("write numbers and ranges: `429,500-599`"));
    }
    ranges
}

/// How often, and after which waits, what is there without a resource is tried again.
#[derive(Clone, Copy)]
enum BuiltIn {
    Constant(u32),
    Growing(Option<u32>, u64),
}

impl BuiltIn {
    fn retry(self) -> Retry {
        let (constant, longest, max) = match self {
            BuiltIn::Constant(max) => (Some(Duration::from_secs(1)), LONGEST, Some(max)),
            BuiltIn::Growing(max, seconds) => (None, Duration::from_secs(seconds), max),
        };
        Retry { constant, longest, max, http: None, grpc: None }
    }
}

const BUILT_IN: [(&str, BuiltIn); 5] = [
    ("DaprBuiltInServiceRetries", BuiltIn::Constant(3)),
    ("DaprBuiltInActorRetries", BuiltIn::Constant(3)),
    ("DaprBuiltInActorReminderRetries", BuiltIn::Growing(None, 60)),
    ("DaprBuiltInInitializationRetries", BuiltIn::Growing(Some(3), 1)),
    (PROTECTED, BuiltIn::Constant(5)),
];
/// What no resource changes.
const PROTECTED: &str = "DaprBuiltInActorNotFoundRetries";
/// The fewest retries of those that are there without a resource.
const BUILT_IN_MIN: u32 = 3;
const WAIT: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
const TRIP: &str = "consecutiveFailures > 5";
const METHODS: usize = 100;
/// What the families are called in the names of default policies.
const FAMILIES: [(Family, &str); 6] = [
    (Family::Binding, "Binding"),
    (Family::Configuration, "Configuration"),
    (Family::Lock, "Lock"),
    (Family::PubSub, "Pubsub"),
    (Family::Secrets, "Secretstore"),
    (Family::State, "Statestore"),
];
