//! Stories and properties of faults, in virtual time.

use super::scope::is_below;
use super::*;
use crate::rng::Rng;
use proptest::prelude::*;

/// A request: method, path, headers.
#[derive(Clone, Debug)]
struct Get(&'static str, &'static str, Vec<(&'static str, &'static str)>);

impl Asked for Get {
    fn method(&self) -> &str {
        self.0
    }

    fn path(&self) -> &str {
        self.1
    }

    fn has_header(&self, name: &str, value: Option<&str>) -> bool {
        self.2
            .iter()
            .any(|(other, is)| other.eq_ignore_ascii_case(name) && value.is_none_or(|value| value == *is))
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn plain() -> Get {
    Get("GET", "/", Vec::new())
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn fault(effect: Effect, share: Share, scope: Scope) -> Fault {
    Fault::new(FaultConfig { effect, share, scope }, Time::ZERO, HOUR).unwrap()
}

fn then(then: Then) -> Effect {
    Effect::new(None, then).unwrap()
}

fn percent(percent: f64) -> Share {
    Share::percent(percent).unwrap()
}

fn strikes(fault: &Fault, seed: u64, tries: u32) -> u32 {
    let mut rng = Rng::new(seed);
    (0..tries).filter(|_| fault.decide(Time::ZERO, &mut rng, &plain()) != Decision::Spared).count() as u32
}

#[test]
fn a_fault_ends_at_its_time() {
    let fault = fault(then(Then::Reset), Share::ALL, Scope::default());
    let mut rng = Rng::new(1);
    let last = Time::ZERO + HOUR - Duration::from_nanos(1);
    assert!(matches!(fault.decide(last, &mut rng, &plain()), Decision::Struck(_)));
    assert_eq!(fault.decide(Time::ZERO + HOUR, &mut rng, &plain()), Decision::Apart);
}

#[test]
fn only_what_is_in_its_scope_is_struck() {
    let headers = vec![("x-test".into(), None), ("X-User".into(), Some("eve".into()))];
    let scope = Scope::new(vec!["GET".into(), "HEAD".into()], Some("/orders".into()), headers).unwrap();
    let holds = |method, path, headers: &[(&'static str, &'static str)]| {
        scope.holds(&Get(method, path, headers.to_vec()))
    };
    let both = [("x-test", ""), ("x-user", "eve")];
    assert!(holds("GET", "/orders", &both));
    assert!(holds("HEAD", "/orders/7", &both));
    assert!(!holds("POST", "/orders", &both));
    assert!(!holds("GET", "/ordersheet", &both));
    assert!(!holds("GET", "/", &both));
    assert!(!holds("GET", "/orders", &both[..1]));
    assert!(!holds("GET", "/orders", &[("x-test", "1"), ("x-user", "bob")]));
    assert!(Scope::default().holds(&plain()));
}

#[test]
fn a_path_with_a_slash_is_for_what_is_below() {
    assert!(is_below("/a/b", "/a/") && !is_below("/a", "/a/"));
    assert!(is_below("/a/b", "/"));
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    let refused = |delay, then| Effect::new(delay, then).unwrap_err();
    assert!(refused(None, Then::Pass).contains("do something"));
    assert!(refused(Some((ms(0), ms(0))), Then::Pass).contains("nothing"));
    assert!(refused(Some((ms(9), ms(5))), Then::Pass).contains("range"));
    assert!(refused(Some((ms(9), HOUR * 2)), Then::Pass).contains("an hour"));
    assert!(refused(None, Then::Status(200)).contains("400 to 599"));
    assert!(refused(None, Then::Grpc(0)).contains("1 to 16"));
    assert!(refused(None, Then::SlowBody(0)).contains("ever ends"));
    for wrong in [0.0, -1.0, 100.1, f64::NAN, 0.00001] {
        assert!(Share::percent(wrong).is_err(), "{wrong}");
    }
    let config = FaultConfig { effect: then(Then::Reset), share: Share::ALL, scope: Scope::default() };
    assert!(Fault::new(config.clone(), Time::ZERO, Duration::ZERO).is_err());
    assert!(Fault::new(config, Time::ZERO, HOUR * 25).is_err());
}

/// Texts that no request can have, or that would tear a terminal.
const NEVER: [&str; 5] = ["", "a b", "a\r\nb", "\u{1b}[2J", "a\u{9b}b"];

#[test]
fn a_scope_that_no_request_is_in_is_refused_in_a_sentence() {
    let methods = |method: &str| Scope::new(vec![method.to_owned()], None, Vec::new());
    let path = |path: &str| Scope::new(Vec::new(), Some(path.to_owned()), Vec::new());
    let header = |name: &str, value: Option<&str>| {
        Scope::new(Vec::new(), None, vec![(name.to_owned(), value.map(str::to_owned))])
    };
    for never in NEVER {
        let refused = [methods(never), path(never), path(&format!("/{never} ")), header(never, None)]
            .map(Result::unwrap_err);
        assert!(refused.iter().all(|why| !why.contains(char::is_control)), "{refused:?}");
    }
    for never in ["orders", "/a?b=1", "/a#b", "/a/*/b", "/a/{id}", "/a/../b", "/.", "/\u{e4}"] {
        assert!(path(never).is_err(), "{never}");
    }
    for never in [" 1", "1 ", "1\n", "\u{1b}[2J", "\u{9b}2J", "a\tb", "\u{7f}"] {
        assert!(header("x-test", Some(never)).is_err(), "{never:?}");
    }
    assert!(header("x-test", Some("")).is_ok() && header("X-Test", Some("a b=\u{fc}; \"c\"")).is_ok());
    assert!(methods("GET").is_ok() && methods("M-SEARCH").is_ok());
    assert!(path("/").is_ok() && path("/a.b/%20:c@d/~;e=f").is_ok());
    let long = methods(&"G".repeat(10_000)).unwrap_err();
    assert!(long.len() < 100, "{long}");
}

proptest! {
    #[test]
    fn strikes_its_share(seed: u64, of_a_hundred in 1_u32..=100) {
        let tries = 20_000;
        let fault = fault(then(Then::Reset), percent(of_a_hundred.into()), Scope::default());
        let struck = strikes(&fault, seed, tries);
        let p = f64::from(of_a_hundred) / 100.0;
        // Six times the binomial's deviation: one of a billion seeds falls out.
        let slack = 6.0 * (f64::from(tries) * p * (1.0 - p)).sqrt();
        prop_assert!((f64::from(struck) - f64::from(tries) * p).abs() <= slack, "{} of {}", struck, tries);
    }

    #[test]
    fn a_larger_share_strikes_what_a_smaller_one_does(seed: u64, small in 1_u32..100, more in 0_u32..100) {
        let large = (small + more).min(100);
        let [small, large] = [small, large].map(|of| fault(then(Then::Reset), percent(of.into()), Scope::default()));
        for at in 0..50 {
            let decide = |fault: &Fault| fault.decide(Time::ZERO, &mut Rng::new(seed ^ at), &plain());
            prop_assert!(decide(&small) == Decision::Spared || decide(&large) != Decision::Spared);
        }
    }

    #[test]
    fn the_whole_is_everybody(seed: u64) {
        prop_assert_eq!(strikes(&fault(then(Then::Reset), percent(100.0), Scope::default()), seed, 100), 100);
    }

    #[test]
    fn a_delay_is_within_its_range(seed: u64, least in 0_u64..5_000, more in 1_u64..5_000) {
        let range = (ms(least), ms(least + more));
        let fault = fault(Effect::new(Some(range), Then::Pass).unwrap(), Share::ALL, Scope::default());
        let mut rng = Rng::new(seed);
        for _ in 0..50 {
            let Decision::Struck(strike) = fault.decide(Time::ZERO, &mut rng, &plain()) else { panic!("all") };
            prop_assert!((range.0..=range.1).contains(&strike.delay));
        }
    }

    #[test]
    fn what_is_in_a_scope_can_be_shown(text in "\\PC{0,4}[\\x00-\\x20\u{7f}-\u{9f}]?\\PC{0,4}") {
        let parts = [
            Scope::new(vec![text.clone()], None, Vec::new()),
            Scope::new(Vec::new(), Some(format!("/{text}")), Vec::new()),
            Scope::new(Vec::new(), None, vec![(text.clone(), None)]),
            Scope::new(Vec::new(), None, vec![("a".to_owned(), Some(text.clone()))]),
        ];
        let torn = text.contains(char::is_control);
        prop_assert!(parts.iter().all(|part| !torn || part.is_err()));
        prop_assert!(parts.iter().flat_map(|part| part.as_ref().err()).all(|why| !why.contains(char::is_control)));
    }

    #[test]
    fn percentages_come_back(millionths in 1_u32..=1_000_000) {
        let percent = f64::from(millionths) / 10_000.0;
        prop_assert!((Share::percent(percent).unwrap().as_percent() - percent).abs() < 1e-9);
    }
}
