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
    shares: Split,
    /// Headers with their values that send a request to a side, whatever the shares.
    when: Vec<(Vec<(String, String)>, usize)>,
    sticky: Option<HashKey>,
}

impl Target {
    /// `call` gives the state of a side's call.
    pub(crate) fn new(config: &config::Call, mut call: impl FnMut(&config::Call) -> Rc<LocalCall>) -> Target {
        let first = call(config);
        let Some(split) = &config.split else { return Target { first, split: None } };
        let parts = || std::iter::once(&split.first).chain(split.others.iter().map(|(part, _)| part));
        let weights: Vec<u64> = parts().map(|part| part.weight).collect();
        // The table has refused the weights that are none.
        let Ok(shares) = Split::new(&weights) else { return Target { first, split: None } };
        let whens = parts().enumerate().flat_map(|(side, part)| part.when.iter().map(move |all| (all, side)));
        let sides = Sides {
            shares,
            when: whens.map(|(all, side)| (all.clone(), side)).collect(),
            calls: std::iter::once(first.clone())
                .chain(split.others.iter().map(|(_, one)| call(one)))
                .collect(),
            sticky: split.sticky.clone(),
        };
        Target { first, split: Some(Box::new(sides)) }
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
        let has = |(name, value): &(String, String)| head.fields.named(name) == Some(value.as_bytes());
        if let Some((_, side)) = self.when.iter().find(|(all, _)| all.iter().all(has)) {
            return (self.calls[*side].clone(), Key::default());
        }
        let key = self.sticky.as_ref().map_or_else(Key::default, |by| Key::of(by, head, sender, rng));
        let point = key.hash.map_or_else(|| Point::random(rng), Point::of);
        (self.calls[self.shares.side(point)].clone(), key)
    }
}
