//! Decides what the next arrival asks for. Pure: no clock, no socket, randomness from a seed.
//!
//! Call [`Journeys::next`] for every arrival and hand the [`Turn`]'s journey back with
//! [`Journeys::finished`] when its answer is there; until then it is not asked for another step.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use crate::rng::Rng;
use crate::scenario::{Body, Choice, Scenario, Scope, Step};

/// All journeys of a run: which wait for their next step, and how many began and ended.
pub(crate) struct Journeys {
    scenario: Scenario,
    first_step: Vec<usize>,
    rng: Rng,
    run: String,
    waiting: VecDeque<Underway>,
    customers: Customers,
    uniques: u64,
    tallies: Vec<Tally>,
}

/// A journey between its first and its last step.
#[derive(Debug)]
pub(crate) struct Underway {
    journey: usize,
    step: usize,
    scope: Scope,
    customer: u64,
    measured: bool,
}

/// One arrival's work: the request, and the journey that waits for its answer.
#[derive(Debug)]
pub(crate) struct Turn {
    pub underway: Underway,
    /// The step's place among all steps of all journeys.
    pub step: usize,
    pub call: Result<Call, String>,
}

/// A request with everything filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

/// How a step went.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With what the answer gave for later steps.
    Passed(Scope),
    /// The journey ends here.
    Failed,
}

/// Journeys of one kind, counted from the start of the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub started: u64,
    pub completed: u64,
    pub failed: u64,
}

impl Underway {
    /// The step it is at, of the scenario that it belongs to.
    pub(crate) fn step<'a>(&self, scenario: &'a Scenario) -> &'a Step {
        &scenario.journeys[self.journey].steps[self.step]
    }
}

impl Journeys {
    /// `run` makes customers and `{unique}` values differ from those of any other run.
    pub(crate) fn new(scenario: Scenario, seed: u64, run: String) -> Journeys {
        let mut steps = 0;
        let first_step = scenario
            .journeys
            .iter()
            .map(|journey| {
                steps += journey.steps.len();
                steps - journey.steps.len()
            })
            .collect();
        Journeys {
            first_step,
            rng: Rng::new(seed),
            run,
            waiting: VecDeque::new(),
            customers: Customers::new(scenario.customers),
            uniques: 0,
            tallies: vec![Tally::default(); scenario.journeys.len()],
            scenario,
        }
    }

    /// The next step of the journey that has waited longest, else the first of a new one.
    pub(crate) fn next(&mut self, measured: bool) -> Turn {
        let mut underway = match self.waiting.pop_front() {
            Some(underway) => underway,
            None => self.begin(measured),
        };
        self.uniques += 1;
        underway.scope.insert("unique".to_owned(), format!("{}-{}", self.run, self.uniques).into());
        let step = self.first_step[underway.journey] + underway.step;
        let call = call(underway.step(&self.scenario), &underway.scope);
        Turn { underway, step, call }
    }

    /// Takes a journey back when its step has ended.
    pub(crate) fn finished(&mut self, mut underway: Underway, ended: Ended) {
        let last = underway.step + 1 == self.scenario.journeys[underway.journey].steps.len();
        let tally = &mut self.tallies[underway.journey];
        let counted = u64::from(underway.measured);
        match ended {
            Ended::Failed => tally.failed += counted,
            Ended::Passed(_) if last => tally.completed += counted,
            Ended::Passed(saved) => {
                underway.scope.extend(saved);
                underway.step += 1;
                self.waiting.push_back(underway);
                return;
            }
        }
        self.customers.rest(underway.customer);
    }

    /// One tally a journey, in the scenario's order.
    pub(crate) fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    fn begin(&mut self, measured: bool) -> Underway {
        let journey = self.draw_journey();
        self.tallies[journey].started += u64::from(measured);
        let mut scope = Scope::new();
        for (name, choice) in &self.scenario.vars {
            scope.insert(name.clone(), draw(&mut self.rng, choice));
        }
        let customer = self.customers.next();
        let name = match self.scenario.customers {
            Some(_) => format!("customer-{customer}"),
            None => format!("customer-{}-{customer}", self.run),
        };
        scope.insert("customer".to_owned(), name.into());
        Underway { journey, step: 0, scope, customer, measured }
    }

    fn draw_journey(&mut self) -> usize {
        let total = self.scenario.journeys.iter().map(|journey| journey.weight).sum();
        let mut at = self.rng.below(total);
        for (index, journey) in self.scenario.journeys.iter().enumerate() {
            if at < journey.weight {
                return index;
            }
            at -= journey.weight;
        }
        unreachable!("a number below the sum of all weights lies within one of them")
    }
}

fn draw(rng: &mut Rng, choice: &Choice) -> serde_json::Value {
    match choice {
        Choice::Range(from, to) => {
            let span = to.abs_diff(*from).saturating_add(1);
            from.wrapping_add_unsigned(rng.below(span)).into()
        }
        Choice::List(values) => values[rng.below(values.len() as u64) as usize].clone(),
    }
}

fn call(step: &Step, scope: &Scope) -> Result<Call, String> {
    let mut headers = Vec::with_capacity(step.headers.len() + 1);
    for (name, template) in &step.headers {
        let value = HeaderValue::from_str(&template.text(scope))
            .map_err(|_| format!("the value of header `{name}` holds a control character"))?;
        headers.push((name.clone(), value));
    }
    let body = match &step.body {
        Body::None => Bytes::new(),
        Body::Text(template) => template.text(scope).into(),
        Body::Json(json) => {
            if !headers.iter().any(|(name, _)| name == http::header::CONTENT_TYPE) {
                headers.push((http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
            }
            json.value(scope).to_string().into()
        }
    };
    Ok(Call { method: step.method.clone(), path: step.path.url(scope), headers, body })
}

/// Who is free to begin a journey: whoever has rested longest. When more journeys are under way
/// than there are customers, further customers are made, since two journeys never share one.
struct Customers {
    rested: VecDeque<u64>,
    made: u64,
    keep: bool,
}

impl Customers {
    fn new(count: Option<u64>) -> Customers {
        let made = count.unwrap_or(0);
        Customers { rested: (1..=made).collect(), made, keep: count.is_some() }
    }

    fn next(&mut self) -> u64 {
        self.rested.pop_front().unwrap_or_else(|| {
            self.made += 1;
            self.made
        })
    }

    fn rest(&mut self, customer: u64) {
        if self.keep {
            self.rested.push_back(customer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = r#"
customers: 2
journeys:
  - name: look
    weight: 3
    steps: [{ get: "/p/{n}" }, { get: "/again/{n}" }]
  - name: buy
    steps:
      - { post: /buy, json: { who: "{customer}", n: "{n}" }, headers: { key: "{unique}" }, save: { order: id } }
      - { get: "/orders/{order}" }
vars: { n: { range: [1, 9] } }
"#;

    fn journeys() -> Journeys {
        Journeys::new(Scenario::parse("shop.yaml", SHOP).unwrap(), 3, "run".into())
    }

    fn path(turn: &Turn) -> String {
        turn.call.as_ref().unwrap().path.clone()
    }

    #[test]
    fn an_arrival_never_waits_for_an_answer() {
        let mut journeys = journeys();
        let turns: Vec<_> = (0..100).map(|_| journeys.next(true)).collect();
        let started: u64 = journeys.tallies().iter().map(|tally| tally.started).sum();
        assert_eq!((turns.len(), started), (100, 100), "each began a journey of its own");
    }

    #[test]
    fn a_waiting_journey_goes_on_before_another_begins() {
        let mut journeys = journeys();
        let first = journeys.next(true);
        let asked = path(&first);
        journeys.finished(first.underway, Ended::Passed(Scope::from([("order".into(), 7.into())])));
        let second = path(&journeys.next(true));
        let number = asked.trim_start_matches("/p/");
        assert!(second == format!("/again/{number}") || second == "/orders/7", "{asked} then {second}");
    }

    #[test]
    fn a_failed_step_ends_its_journey() {
        let mut journeys = journeys();
        let turn = journeys.next(true);
        journeys.finished(turn.underway, Ended::Failed);
        journeys.next(true);
        let sum = |of: fn(&Tally) -> u64| journeys.tallies().iter().map(of).sum::<u64>();
        assert_eq!((sum(|t| t.started), sum(|t| t.failed), sum(|t| t.completed)), (2, 1, 0));
    }

    #[test]
    fn journeys_under_way_never_share_a_customer() {
        let mut journeys = journeys();
        let who = |turn: &Turn| turn.underway.customer;
        let (a, b, c) = (journeys.next(true), journeys.next(true), journeys.next(true));
        assert_eq!((who(&a), who(&b), who(&c)), (1, 2, 3));
        journeys.finished(b.underway, Ended::Failed);
        assert_eq!(who(&journeys.next(true)), 2);
    }

    #[test]
    fn weights_hold() {
        let mut journeys = journeys();
        for _ in 0..4000 {
            journeys.next(true);
        }
        let look = journeys.tallies()[0].started;
        assert!((2800..3200).contains(&look), "{look} of 4000 with weight 3 of 4");
    }

    #[test]
    fn json_keeps_numbers_and_unique_differs() {
        let mut journeys = journeys();
        let turns: Vec<_> = (0..100).map(|_| journeys.next(true)).collect();
        let calls: Vec<_> = turns.iter().filter_map(|turn| turn.call.as_ref().ok()).collect();
        let mut keys: Vec<_> = calls
            .iter()
            .flat_map(|call| &call.headers)
            .filter(|(name, _)| name == "key")
            .map(|(_, v)| v)
            .collect();
        let bought = keys.len();
        keys.sort();
        keys.dedup();
        assert!(bought > 10 && keys.len() == bought);
        let buy = calls.iter().find(|call| call.path == "/buy").unwrap();
        let body: serde_json::Value = serde_json::from_slice(&buy.body).unwrap();
        assert!(body["n"].is_i64() && body["who"].as_str().unwrap().starts_with("customer-"));
    }

    #[test]
    fn the_same_seed_takes_the_same_way() {
        let paths = || {
            let mut journeys = journeys();
            (0..50).map(|_| path(&journeys.next(true))).collect::<Vec<_>>()
        };
        assert_eq!(paths(), paths());
    }
}
