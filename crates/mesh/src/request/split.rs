//! Which of several calls carries a request: first by its headers, then by the part of it that keeps a
//! user where it is, else by chance.

use std::rc::Rc;

use policy::{Point, Rng, Split};

use crate::call::LocalCall;
use crate::call::key::{Key, Sender};
use crate::client::serve::Client;
use crate::config::{self, HashKey};
use crate::core::Core;
use crate::message::head::RequestHead;

/// A call, or several that share its requests.
pub(crate) struct Target {
    first: Rc<LocalCall>,
    split: Option<Box<Sides>>,
}

struct Sides {
    /// All of them, the first included.
    calls: Vec<Rc<LocalCall>>,
    rule: Rule,
}

/// What decides between the sides, the first of which is 0.
struct Rule {
    shares: Split,
    /// Headers with their values that send a request to a side, whatever the shares.
    when: Vec<(Vec<(String, String)>, usize)>,
    sticky: Option<HashKey>,
}

/// Which of several calls that share the requests of a route carries one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This one, from 0, for the request's headers.
    ByHeader(usize),
    /// This one, for what keeps the request's user on one side.
    ByUser(usize),
    /// Any, by the shares.
    ByShare,
}

/// How a request is sent to its side, as far as its head tells.
pub(crate) fn preview(split: &config::Split, head: &RequestHead) -> Option<Side> {
    let rule = Rule::new(split)?;
    if let Some(side) = rule.by_header(head) {
        return Some(Side::ByHeader(side));
    }
    let user = rule.sticky.as_ref().and_then(|by| Key::brought(by, head));
    Some(user.map_or(Side::ByShare, |hash| Side::ByUser(rule.shares.side(Point::of(hash)))))
}

impl Target {
    /// `call` gives the state of a side's call.
    pub(crate) fn new(config: &config::Call, mut call: impl FnMut(&config::Call) -> Rc<LocalCall>) -> Target {
        let first = call(config);
        let Some(split) = &config.split else { return Target { first, split: None } };
        // The table has refused the weights that are none.
        let Some(rule) = Rule::new(split) else { return Target { first, split: None } };
        let others = split.others.iter().map(|(_, one)| call(one));
        let calls = std::iter::once(first.clone()).chain(others).collect();
        Target { first, split: Some(Box::new(Sides { calls, rule })) }
    }

    /// The call for a request, and what its client is given to come back to the same side.
    #[inline]
    pub(crate) fn call(&self, core: &Core, client: &Client, head: &RequestHead) -> (Rc<LocalCall>, Key) {
        match &self.split {
            None => (self.first.clone(), Key::default()),
            Some(sides) => sides.call(head, Sender::of(client), &mut core.rng.borrow_mut()),
        }
    }
}

impl Sides {
    fn call(&self, head: &RequestHead, sender: Sender, rng: &mut Rng) -> (Rc<LocalCall>, Key) {
        let (side, key) = self.rule.side(head, sender, rng);
        (self.calls[side].clone(), key)
    }
}

impl Rule {
    /// None if nothing has a weight.
    fn new(split: &config::Split) -> Option<Rule> {
        let parts = || std::iter::once(&split.first).chain(split.others.iter().map(|(part, _)| part));
        let weights: Vec<u64> = parts().map(|part| part.weight).collect();
        let whens = parts().enumerate().flat_map(|(side, part)| part.when.iter().map(move |all| (all, side)));
        Some(Rule {
            shares: Split::new(&weights).ok()?,
            when: whens.map(|(all, side)| (all.clone(), side)).collect(),
            sticky: split.sticky.clone(),
        })
    }

    fn by_header(&self, head: &RequestHead) -> Option<usize> {
        let has = |(name, value): &(String, String)| head.fields.named(name) == Some(value.as_bytes());
        self.when.iter().find(|(all, _)| all.iter().all(has)).map(|(_, side)| *side)
    }

    fn side(&self, head: &RequestHead, sender: Sender, rng: &mut Rng) -> (usize, Key) {
        if let Some(side) = self.by_header(head) {
            return (side, Key::default());
        }
        let key = self.sticky.as_ref().map_or_else(Key::default, |by| Key::of(by, head, sender, rng));
        let point = key.hash.map_or_else(|| Point::random(rng), Point::of);
        (self.shares.side(point), key)
    }
}
