//! A try, and others beside it if it takes too long: the first good answer counts, and the rest is let go of.
//!
//! Letting go of a try drops it: in HTTP/1.1 its connection is closed, in HTTP/2 its stream is reset. It
//! is nobody's failure; the balancer learns that its instance is slower than it was taken to be.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use policy::hedge::Verdict;
use policy::{Hedge, Time};

use super::attempt::{Slot, Tried, attempt};
use super::deliver::throw_away;
use super::times::Times;
use super::tries::{Passed, is_lost, says_what_it_takes};
use super::{LocalCall, Outgoing};
use crate::clock;
use crate::core::Core;
use crate::spans::{Trace, Trying};

/// What all tries of a request have in common.
#[derive(Clone, Copy)]
pub(super) struct Race<'a> {
    pub(super) core: &'a Core,
    pub(super) call: &'a LocalCall,
    pub(super) outgoing: &'a Outgoing<'a>,
    /// When the first of all tries began.
    pub(super) first: Time,
}

/// How a race ended.
pub(super) struct Finish<'a> {
    /// The first good answer, or the last that was not.
    pub(super) tried: Tried,
    pub(super) pass: Passed<'a>,
    /// Hedges that were sent.
    pub(super) hedges: u32,
}

/// A try under way.
struct Runner<'a> {
    trying: Pin<Box<dyn Future<Output = Tried> + 'a>>,
    slot: Rc<Slot>,
    noted: Trying,
    pass: Passed<'a>,
    began: Time,
    is_hedge: bool,
}

/// When to hedge. None: not at all, the call or the request being what it is.
pub(super) fn of<'a>(call: &'a LocalCall, outgoing: &Outgoing) -> Option<&'a RefCell<Hedge>> {
    call.hedge.as_ref().filter(|_| outgoing.idempotent && !outgoing.message.asks_upgrade())
}

impl<'a> Race<'a> {
    /// Tries with what `times` allow, and beside that again.
    pub(super) async fn run(self, hedge: &RefCell<Hedge>, pass: Passed<'a>, times: Times) -> Finish<'a> {
        let began = times.began();
        let delay = hedge.borrow_mut().delay(began);
        let mut wake = delay.map(|delay| began + delay);
        let mut runners = vec![self.start(pass, times, None)];
        let mut hedges = 0;
        loop {
            self.outgoing.interim.race(runners.len() > 1);
            match next(&mut runners, wake).await {
                Some((at, tried)) => {
                    let runner = runners.swap_remove(at);
                    let good = !tried.outcome.is_failure() && !tried.blameless;
                    if !runner.is_hedge && (good || says_what_it_takes(tried.outcome)) && !tried.blameless {
                        hedge.borrow_mut().record(tried.ended, tried.took);
                    }
                    if good || runners.is_empty() {
                        if good && runner.is_hedge {
                            self.call.tally().hedges_won.add(1);
                        }
                        runners
                            .into_iter()
                            .for_each(|loser| loser.let_go(tried.ended, hedge, self.outgoing.trace));
                        return Finish { tried, pass: runner.pass, hedges };
                    }
                    self.lost(runner.pass, tried);
                }
                None => {
                    let now = clock::now();
                    let another = self.another(now, &runners, hedge, &mut hedges);
                    wake = another.is_some().then(|| now + delay.unwrap_or_default());
                    runners.extend(another);
                }
            }
        }
    }

    fn start(self, pass: Passed<'a>, times: Times, avoid: Option<u64>) -> Runner<'a> {
        let slot = Rc::<Slot>::default();
        let held = slot.clone();
        let Race { core, call, outgoing, .. } = self;
        let is_hedge = avoid.is_some();
        let noted = outgoing.trace.try_begins(core, outgoing.context, times.began(), is_hedge);
        let trying = Box::pin(async move { attempt(core, call, outgoing, times, avoid, &held, noted).await });
        Runner { trying, slot, noted, pass, began: times.began(), is_hedge }
    }

    /// One more try, if there may be one.
    fn another(
        self,
        now: Time,
        runners: &[Runner<'a>],
        hedge: &RefCell<Hedge>,
        sent: &mut u32,
    ) -> Option<Runner<'a>> {
        // Who still waits for an instance, or has its caller to wait for, is not slow by an instance's fault.
        let slow = runners.last()?.instance()?;
        if !self.outgoing.is_at_hand() || self.call.upstream.instances().len() < 2 {
            return None;
        }
        let pass = Passed::new(self.call, now).ok()?;
        let request = policy::Request { idempotent: self.outgoing.idempotent, replayable: true };
        let verdict = hedge.borrow().another(now, sent, request, &mut self.call.budget.borrow_mut());
        match verdict {
            Verdict::Send => {
                self.call.tally().hedges.add(1);
                let times = Times::new(self.call, self.outgoing, self.first, now);
                Some(self.start(pass, times, Some(slow)))
            }
            Verdict::Budget => {
                self.call.tally().retries_denied.add(1);
                None
            }
            Verdict::No => None,
        }
    }

    /// A try failed while others are under way. A lost connection is one instance's end, and speaks of the
    /// upstream only if no other try gets through.
    fn lost(self, pass: Passed<'a>, tried: Tried) {
        let Tried { outcome, ended, took, blameless, result } = tried;
        if !blameless && !is_lost(outcome) {
            if says_what_it_takes(outcome) {
                self.call.learn(ended, took);
            }
            pass.record(ended, true, took);
        }
        if let Ok(reply) = result {
            throw_away(reply, self.outgoing.body_idle);
        }
    }
}

impl Runner<'_> {
    /// Key of the instance that it is at.
    fn instance(&self) -> Option<u64> {
        self.slot.borrow().as_ref().map(|(lease, _)| lease.instance.shared.key)
    }

    /// Another was first.
    fn let_go(self, now: Time, hedge: &RefCell<Hedge>, trace: &Trace) {
        let Runner { trying, slot, noted, began, is_hedge, .. } = self;
        drop(trying);
        trace.let_go(noted, now);
        if let Some((mut lease, chosen)) = slot.take() {
            lease.latency = lease.instance.slower_than(now.since(chosen));
        }
        if !is_hedge {
            hedge.borrow_mut().record(now, now.since(began));
        }
    }
}

/// The next try to end, by its place. None: it is time for another.
async fn next(runners: &mut [Runner<'_>], wake: Option<Time>) -> Option<(usize, Tried)> {
    let ended = std::future::poll_fn(|cx| {
        for (at, runner) in runners.iter_mut().enumerate() {
            if let Poll::Ready(tried) = runner.trying.as_mut().poll(cx) {
                return Poll::Ready((at, tried));
            }
        }
        Poll::Pending
    });
    match wake {
        None => Some(ended.await),
        Some(wake) => tokio::time::timeout_at(clock::instant(wake), ended).await.ok(),
    }
}
