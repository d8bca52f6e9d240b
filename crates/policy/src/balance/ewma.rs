//! How long a request would wait at an instance: the peak EWMA of Finagle, which Linkerd took over, an
//! average of latency that believes bad news at once and good news slowly, times what is in flight.

use std::time::Duration;

use crate::time::{Time, nanos};

/// The expected wait at one endpoint, as one caller sees it. Every [`PeakEwma::begin`] MUST be
/// followed by one [`PeakEwma::end`], also when the request is cancelled.
#[derive(Clone, Debug)]
pub struct PeakEwma {
    average: f64,
    at: Time,
    decay: f64,
    in_flight: u32,
}

impl PeakEwma {
    /// An endpoint of which nothing is known yet.
    ///
    /// `initial` is the latency that it is believed to have until an answer says otherwise
    /// (Linkerd: 30 ms); zero: it is tried first. `decay` is the time in which a latency of long ago
    /// loses all but 1/e of its weight (Finagle, Linkerd: 10 s); zero: only the last answer counts.
    pub fn new(now: Time, initial: Duration, decay: Duration) -> PeakEwma {
        let decay = nanos(decay).max(1) as f64;
        PeakEwma { average: nanos(initial) as f64, at: now, decay, in_flight: 0 }
    }

    /// A request goes out to this endpoint.
    #[inline]
    pub fn begin(&mut self, _now: Time) {
        self.in_flight += 1;
    }

    /// A request to this endpoint came to its end. `rtt` is the time to the answer; none where there
    /// was no answer to measure. A failure that came quickly would attract more requests if its time
    /// were told as it is: the driver tells a penalty instead, such as the timeout.
    #[inline]
    pub fn end(&mut self, now: Time, rtt: Option<Duration>) {
        debug_assert!(self.in_flight > 0, "more requests ended than began");
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(rtt) = rtt {
            self.observe(now, nanos(rtt) as f64);
        }
    }

    /// How loaded the endpoint is: the average latency as of now, in nanoseconds, times the requests
    /// that would be in flight with one more. To be compared, not to be shown.
    #[inline]
    pub fn load(&self, now: Time) -> f64 {
        self.average_at(now) * (f64::from(self.in_flight) + 1.0)
    }

    /// The same among endpoints of different weights: one of twice the weight may have twice as many in
    /// flight. Idle ones are as loaded as their latency says, whatever they weigh.
    pub fn weighted_load(&self, now: Time, weight: f64) -> f64 {
        self.average_at(now) * (f64::from(self.in_flight) / weight + 1.0)
    }

    /// Requests that began and did not end.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The average latency as of the last answer, undecayed.
    pub fn latency(&self) -> Duration {
        Duration::from_nanos(self.average as u64)
    }

    fn average_at(&self, now: Time) -> f64 {
        (self.average * self.weight(now)).max(AVERAGE_NANOS_MIN)
    }

    fn observe(&mut self, now: Time, rtt: f64) {
        self.average = if rtt > self.average {
            rtt
        } else {
            let weight = self.weight(now);
            self.average * weight + rtt * (1.0 - weight)
        };
        self.at = self.at.max(now);
    }

    /// What is left of the average's weight after the time since it was taken.
    fn weight(&self, now: Time) -> f64 {
        match now.as_nanos().saturating_sub(self.at.as_nanos()) {
            0 => 1.0,
            passed => (-(passed as f64) / self.decay).exp(),
        }
    }
}

/// Keeps requests in flight visible in the load of an endpoint whose average has decayed to nothing.
const AVERAGE_NANOS_MIN: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: f64 = 1e6;

    fn endpoint() -> PeakEwma {
        PeakEwma::new(Time::ZERO, Duration::from_millis(10), Duration::from_secs(10))
    }

    fn answer(endpoint: &mut PeakEwma, now: Time, millis: u64) {
        endpoint.begin(now);
        endpoint.end(now, Some(Duration::from_millis(millis)));
    }

    #[test]
    fn a_peak_is_believed_at_once() {
        let mut endpoint = endpoint();
        answer(&mut endpoint, Time::from_millis(1), 500);
        assert_eq!(endpoint.load(Time::from_millis(1)), 500.0 * MS);
        assert_eq!(endpoint.latency(), Duration::from_millis(500));
    }

    #[test]
    fn good_news_is_believed_slowly() {
        let mut endpoint = endpoint();
        answer(&mut endpoint, Time::ZERO, 500);
        answer(&mut endpoint, Time::from_millis(1), 5);
        assert!(endpoint.load(Time::from_millis(1)) > 499.0 * MS);
        answer(&mut endpoint, Time::from_millis(60_000), 5);
        assert!(endpoint.load(Time::from_millis(60_000)) < 7.0 * MS);
    }

    #[test]
    fn a_peak_decays_by_the_clock() {
        let mut endpoint = endpoint();
        answer(&mut endpoint, Time::ZERO, 1000);
        let after_one_decay = endpoint.load(Time::from_millis(10_000)) / (1000.0 * MS);
        assert!((after_one_decay - (-1.0_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn requests_in_flight_weigh() {
        let mut endpoint = endpoint();
        let idle = endpoint.load(Time::ZERO);
        (0..3).for_each(|_| endpoint.begin(Time::ZERO));
        assert_eq!(endpoint.load(Time::ZERO), 4.0 * idle);
        endpoint.end(Time::ZERO, None);
        assert_eq!((endpoint.in_flight(), endpoint.load(Time::ZERO)), (2, 3.0 * idle));
        assert!(endpoint.load(Time::MAX) > 2.0);
    }

    #[test]
    fn twice_the_weight_bears_twice_as_many() {
        let (mut light, mut heavy) = (endpoint(), endpoint());
        light.begin(Time::ZERO);
        (0..2).for_each(|_| heavy.begin(Time::ZERO));
        assert_eq!(light.weighted_load(Time::ZERO, 1.0), light.load(Time::ZERO));
        assert_eq!(light.weighted_load(Time::ZERO, 1.0), heavy.weighted_load(Time::ZERO, 2.0));
    }

    proptest! {
        #[test]
        fn the_average_stays_among_what_was_seen(
            samples in prop::collection::vec((0_u64..20_000, 1_u64..5_000), 1..100),
        ) {
            let mut endpoint = endpoint();
            let (mut now, mut low, mut high) = (0, 10, 10);
            for (wait, millis) in samples {
                now += wait;
                let before = endpoint.load(Time::from_millis(now));
                answer(&mut endpoint, Time::from_millis(now), millis);
                (low, high) = (low.min(millis), high.max(millis));
                let after = endpoint.load(Time::from_millis(now)) / MS;
                prop_assert!(after >= low as f64 - 1e-6 && after <= high as f64 + 1e-6);
                prop_assert!(after * MS >= before.min(millis as f64 * MS) - 1.0);
                let later = endpoint.load(Time::from_millis(now + 1)) / MS;
                prop_assert!(later <= after);
            }
        }
    }
}
