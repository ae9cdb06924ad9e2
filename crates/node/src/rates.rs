//! How much one partner may ask: buckets for its requests, their bytes, the new decisions that they
//! cause and the bytes that are delivered, refilled by the wall clock. Each request leaves an entry
//! in the log, so these are also how fast one partner can make the log grow.

use crate::quotas::{self, QuotaSettings};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// How many in how many seconds for long, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What comes back in `seconds`.
    pub count: u32,
    /// How long that takes, at least 1.
    pub seconds: u32,
    /// What a full bucket holds.
    pub burst: u32,
}

impl Rate {
    const fn per_second(count: u32, burst: u32) -> Rate {
        Rate { count, seconds: 1, burst }
    }

    /// So many a second instead, if that is said, and ten times as many at once, at least so many:
    /// what is less than one request would never let one in.
    #[must_use]
    pub fn at(self, said: Option<u32>, least: u32) -> Rate {
        said.map_or(self, |count| Rate::per_second(count, count.saturating_mul(10).max(least)))
    }
}

/// Requests of one partner.
pub const REQUESTS: Rate = Rate::per_second(200, 2_000);
/// New decision records that the requests of one partner cause. Each is some 3 kB of the log and
/// stays in memory.
pub const DECISIONS: Rate = Rate::per_second(1, 2_000);
/// Newer records that one partner sends: one an hour. Each stays in the log and is verified at each
/// start, and a line of it stays in memory.
pub const RECORDS: Rate = Rate { count: 1, seconds: 3_600, burst: 20 };
/// Checkpoints that one partner sends to be cosigned. Each that is stays in the log.
pub const COSIGNATURES: Rate = Rate::per_second(2, 120);
/// Bytes of the bodies that one partner sends: all that it says in them is logged.
pub const RECEIVED: Rate = Rate::per_second(65_536, 16 << 20);
/// Bytes of rows that are delivered to one partner: each is read and hashed in a turn of the one
/// writer. A page that was begun is finished, and the next one waits.
pub const DELIVERED: Rate = Rate::per_second(8 << 20, 256 << 20);

/// Requests to join with one invitation: each has signatures to be verified. Who names none of ours
/// has none verified.
pub const JOINS: Rate = Rate::per_second(5, 50);

/// The buckets of all partners. There are as many as pinned partners that have asked.
#[derive(Debug, Default)]
pub struct Rates {
    quotas: QuotaSettings,
    requests: Mutex<HashMap<String, Bucket>>,
    decisions: Mutex<HashMap<String, Bucket>>,
    records: Mutex<HashMap<String, Bucket>>,
    cosignatures: Mutex<HashMap<String, Bucket>>,
    received: Mutex<HashMap<String, Bucket>>,
    delivered: Mutex<HashMap<String, Bucket>>,
    /// As many as invitations of ours that somebody has named.
    joins: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    /// Full buckets, of these sizes where they say so.
    #[must_use]
    pub fn of(quotas: &QuotaSettings) -> Rates {
        Rates { quotas: quotas.clone(), ..Rates::default() }
    }

    /// Takes a request of this partner with a body of so many bytes.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn request(&self, partner: &str, bytes: usize, now: WallTime) -> Result<(), Problem> {
        let [requests, received, _] = quotas::rates(self.quotas.said(partner));
        take(&self.requests, partner, (requests, 1), now, "requests")?;
        take(&self.received, partner, (received, bytes as u64), now, "bytes of messages")
    }

    /// Takes so many requests more than one that this partner makes with one call.
    ///
    /// # Errors
    /// `exchange.too_many`; then none is taken.
    pub fn more_requests(&self, partner: &str, more: usize, now: WallTime) -> Result<(), Problem> {
        let [requests, _, _] = quotas::rates(self.quotas.said(partner));
        take(&self.requests, partner, (requests, more as u64), now, "requests")
    }

    /// Takes a new decision on a request of this partner.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn decision(&self, partner: &str, now: WallTime) -> Result<(), Problem> {
        let [_, _, decisions] = quotas::rates(self.quotas.said(partner));
        take(&self.decisions, partner, (decisions, 1), now, "new decisions")
    }

    /// Takes a newer record that this partner sends.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn record(&self, partner: &str, now: WallTime) -> Result<(), Problem> {
        take(&self.records, partner, (RECORDS, 1), now, "newer records")
    }

    /// Takes a checkpoint that this partner sends to be cosigned.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn cosignature(&self, partner: &str, now: WallTime) -> Result<(), Problem> {
        take(&self.cosignatures, partner, (COSIGNATURES, 1), now, "checkpoints to be cosigned")
    }

    /// Whether this partner may have another page now.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn delivery(&self, partner: &str, now: WallTime) -> Result<(), Problem> {
        take(&self.delivered, partner, (DELIVERED, 1), now, "bytes of rows")
    }

    /// Takes a request to join with this invitation, whoever's.
    ///
    /// # Errors
    /// `exchange.too_many`.
    pub fn join(&self, invitation: &str, now: WallTime) -> Result<(), Problem> {
        take(&self.joins, invitation, (JOINS, 1), now, "requests to join")
    }

    /// Books a page that was delivered to this partner.
    pub fn delivered(&self, partner: &str, bytes: u64) {
        let mut buckets = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(partner) {
            bucket.left = bucket.left.saturating_sub(bytes.saturating_mul(UNIT));
        }
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

    /// Takes so many if there are so many. A wall clock that was set back refills nothing.
    fn take(&mut self, rate: Rate, wanted: u64, now: WallTime) -> bool {
        let micros = u64::try_from(now.0.micros() - self.at.0.micros()).unwrap_or(0);
        let seconds = u64::from(rate.seconds.max(1));
        let back = micros.saturating_mul(u64::from(rate.count)) / seconds;
        self.left = self.left.saturating_add(back).min(u64::from(rate.burst) * UNIT);
        self.at = now;
        match self.left.checked_sub(wanted.saturating_mul(UNIT)) {
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
    (rate, wanted): (Rate, u64),
    now: WallTime,
    what: &str,
) -> Result<(), Problem> {
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = buckets.entry(partner.to_owned()).or_insert(Bucket::full(rate, now));
    match bucket.take(rate, wanted, now) {
        true => Ok(()),
        false => {
            let Rate { count, seconds, burst } = rate;
            let long =
                if seconds == 1 { "second".to_owned() } else { format!("{seconds} seconds") };
            let bound = format!("more than {burst} {what} at once, {count} a {long} for long");
            Err(Problem::new(codes::EXCHANGE_TOO_MANY, bound).hint("wait a second"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, DECISIONS, RECEIVED, RECORDS, REQUESTS, Rate, Rates};
    use proptest::prelude::*;
    use twinpact_model::{Timestamp, WallTime};

    fn at(micros: i64) -> WallTime {
        WallTime(Timestamp::from_micros(micros))
    }

    #[test]
    fn a_partner_gets_its_burst_and_then_its_rate() {
        let rates = Rates::default();
        for _ in 0..REQUESTS.burst {
            assert!(rates.request("a", 1, at(0)).is_ok());
        }
        let refused = rates.request("a", 1, at(0)).unwrap_err();
        assert_eq!(refused.code.name, "exchange.too_many");
        assert!(rates.request("b", 1, at(0)).is_ok(), "another has its own");
        let second = 1_000_000;
        for _ in 0..REQUESTS.count {
            assert!(rates.request("a", 1, at(second)).is_ok());
        }
        assert!(rates.request("a", 1, at(second)).is_err());
        assert!(rates.request("a", 1, at(0)).is_err(), "a clock that goes back gives nothing");
        let whole = usize::try_from(RECEIVED.burst).unwrap();
        assert!(rates.request("c", whole, at(0)).is_ok());
        assert!(rates.request("c", 1, at(0)).is_err(), "no bytes are left");
        assert!(rates.request("c", 65_536, at(second)).is_ok());
        assert!(rates.delivery("a", at(0)).is_ok());
        rates.delivered("a", u64::MAX);
        assert!(rates.delivery("a", at(0)).is_err());
        assert!(rates.delivery("a", at(1)).is_ok(), "it comes back byte by byte");
        for _ in 0..DECISIONS.burst {
            assert!(rates.decision("a", at(0)).is_ok());
        }
        assert!(rates.decision("a", at(0)).is_err());
        for _ in 0..RECORDS.burst {
            assert!(rates.record("a", at(0)).is_ok());
        }
        assert!(rates.record("a", at(3_599 * second)).is_err());
        assert!(rates.record("a", at(3_601 * second)).is_ok(), "one an hour");
    }

    proptest! {
        /// Never more than the burst and what time has brought since.
        #[test]
        fn the_bound_holds(gaps in proptest::collection::vec(0i64..400_000, 1..300)) {
            let rate = Rate::per_second(7, 5);
            let (mut bucket, mut now, mut taken) = (Bucket::full(rate, at(0)), 0, 0u64);
            for gap in gaps {
                now += gap;
                taken += u64::from(bucket.take(rate, 1, at(now)));
                let most = 5 + u64::try_from(now).unwrap() * 7 / 1_000_000;
                prop_assert!(taken <= most, "{taken} of {most}");
            }
        }
    }
}
