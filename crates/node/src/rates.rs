//! How often one partner may ask: a bucket for its requests and one for the new decisions that they
//! cause, both refilled by the wall clock. Each request leaves an entry in the log, so this is also
//! how fast one partner can make the log grow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// How many a second for long, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What comes back each second.
    pub per_second: u32,
    /// What a full bucket holds.
    pub burst: u32,
}

/// Requests of one partner.
pub const REQUESTS: Rate = Rate { per_second: 200, burst: 2_000 };
/// New decision records that the requests of one partner cause. Each is about 3 kB.
pub const DECISIONS: Rate = Rate { per_second: 20, burst: 2_000 };

/// The buckets of all partners. There are as many as pinned partners that have asked.
#[derive(Debug, Default)]
pub struct Rates {
    requests: Mutex<HashMap<String, Bucket>>,
    decisions: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    /// Takes a request of this partner.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn request(&self, partner: &str, now: WallTime) -> Result<(), Problem> {
        take(&self.requests, partner, REQUESTS, now, "requests")
    }

    /// Takes a new decision on a request of this partner.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn decision(&self, partner: &str, now: WallTime) -> Result<(), Problem> {
        take(&self.decisions, partner, DECISIONS, now, "new decisions")
    }
}

/// What is left, in micro-units, and as of when.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    at: WallTime,
}

const UNIT: u64 = 1_000_000;

impl Bucket {
    const fn full(rate: Rate, now: WallTime) -> Bucket {
        Bucket { left: rate.burst as u64 * UNIT, at: now }
    }

    /// Takes one if there is one. A wall clock that was set back refills nothing.
    fn take(&mut self, rate: Rate, now: WallTime) -> bool {
        let micros = u64::try_from(now.0.micros() - self.at.0.micros()).unwrap_or(0);
        let back = micros.saturating_mul(u64::from(rate.per_second));
        self.left = self.left.saturating_add(back).min(u64::from(rate.burst) * UNIT);
        self.at = now;
        match self.left.checked_sub(UNIT) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

fn take(
    buckets: &Mutex<HashMap<String, Bucket>>,
    partner: &str,
    rate: Rate,
    now: WallTime,
    what: &str,
) -> Result<(), Problem> {
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = buckets.entry(partner.to_owned()).or_insert(Bucket::full(rate, now));
    match bucket.take(rate, now) {
        true => Ok(()),
        false => {
            let Rate { per_second, burst } = rate;
            let bound = format!("more than {burst} {what} at once, {per_second} a second for long");
            Err(Problem::new(codes::EXCHANGE_TOO_MANY, bound).hint("wait a second"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, DECISIONS, REQUESTS, Rate, Rates};
    use proptest::prelude::*;
    use twinpact_model::{Timestamp, WallTime};

    fn at(micros: i64) -> WallTime {
        WallTime(Timestamp::from_micros(micros))
    }

    #[test]
    fn a_partner_gets_its_burst_and_then_its_rate() {
        let rates = Rates::default();
        for _ in 0..REQUESTS.burst {
            assert!(rates.request("a", at(0)).is_ok());
        }
        let refused = rates.request("a", at(0)).unwrap_err();
        assert_eq!(refused.code.name, "exchange.too_many");
        assert!(rates.request("b", at(0)).is_ok(), "another has its own");
        let second = 1_000_000;
        for _ in 0..REQUESTS.per_second {
            assert!(rates.request("a", at(second)).is_ok());
        }
        assert!(rates.request("a", at(second)).is_err());
        assert!(rates.request("a", at(0)).is_err(), "a clock that goes back gives nothing");
        for _ in 0..DECISIONS.burst {
            assert!(rates.decision("a", at(0)).is_ok());
        }
        assert!(rates.decision("a", at(0)).is_err());
    }

    proptest! {
        /// Never more than the burst and what time has brought since.
        #[test]
        fn the_bound_holds(gaps in proptest::collection::vec(0i64..400_000, 1..300)) {
            let rate = Rate { per_second: 7, burst: 5 };
            let (mut bucket, mut now, mut taken) = (Bucket::full(rate, at(0)), 0, 0u64);
            for gap in gaps {
                now += gap;
                taken += u64::from(bucket.take(rate, at(now)));
                let most = 5 + u64::try_from(now).unwrap() * 7 / 1_000_000;
                prop_assert!(taken <= most, "{taken} of {most}");
            }
        }
    }
}
