//! How much one partner, or connector, may ask of this node: `[quotas]` of the configuration, for
//! everybody and for whom it names.
//!
//! The bounds that stand when nothing is said keep a node on a small machine well whatever a
//! partner does. Who trades hundreds of agreements a second with a partner says so.

use crate::agreements::MAX_AGREEMENTS;
use crate::processes::{MAX_NEGOTIATIONS, MAX_TRANSFERS};
use crate::rates::{DECISIONS, RECEIVED, REQUESTS};
use serde::{Deserialize, Serialize};
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The most that any of these bounds may be.
pub const MAX_QUOTA: u32 = 1 << 30;
/// The most partners with bounds of their own.
pub const MAX_QUOTED: usize = 1_000;

/// The bytes of the largest body that a door takes.
const ONE_BODY: u32 = 1 << 20;
const _: () = assert!(ONE_BODY as usize == MAX_MESSAGE_BYTES);

/// The keys of a table of bounds.
pub(crate) const KEYS: [&str; 6] = [
    "requests_per_second",
    "bytes_per_second",
    "decisions_per_second",
    "negotiations",
    "transfers",
    "agreements",
];

/// What is said of these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Said {
    /// Requests for long; ten times as many at once.
    pub requests_per_second: Option<u32>,
    /// Bytes of their bodies for long; ten times as many at once, and one body always.
    pub bytes_per_second: Option<u32>,
    /// New decision records for long: each view that it asks for in a new way makes one.
    pub decisions_per_second: Option<u32>,
    /// Negotiations that are under way.
    pub negotiations: Option<u32>,
    /// Transfers that are under way.
    pub transfers: Option<u32>,
    /// Agreements that we grant to it, those that ended included; each has a ledger for ever.
    pub agreements: Option<u32>,
}

impl Said {
    fn values(&self) -> [Option<u32>; 6] {
        [
            self.requests_per_second,
            self.bytes_per_second,
            self.decisions_per_second,
            self.negotiations,
            self.transfers,
            self.agreements,
        ]
    }

    fn or(self, other: Said) -> Said {
        Said {
            requests_per_second: self.requests_per_second.or(other.requests_per_second),
            bytes_per_second: self.bytes_per_second.or(other.bytes_per_second),
            decisions_per_second: self.decisions_per_second.or(other.decisions_per_second),
            negotiations: self.negotiations.or(other.negotiations),
            transfers: self.transfers.or(other.transfers),
            agreements: self.agreements.or(other.agreements),
        }
    }
}

/// The bounds of one partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfPartner {
    /// Its participant id.
    pub id: String,
    /// What is said of it.
    #[serde(flatten)]
    pub said: Said,
}

/// `[quotas]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuotaSettings {
    /// What holds for everybody.
    #[serde(flatten)]
    pub all: Said,
    /// What holds for some instead.
    #[serde(default)]
    pub partners: Vec<OfPartner>,
}

impl QuotaSettings {
    /// What is said of that partner.
    #[must_use]
    pub fn said(&self, partner: &str) -> Said {
        let own = self.partners.iter().find(|one| one.id == partner);
        own.map_or(self.all, |own| own.said.or(self.all))
    }

    /// How many negotiations, transfers and agreements that partner may have.
    #[must_use]
    pub fn processes(&self, partner: &str) -> (usize, usize, usize) {
        let said = self.said(partner);
        let or = |said: Option<u32>, usual| {
            said.map_or(usual, |said| usize::try_from(said).unwrap_or(usize::MAX))
        };
        (
            or(said.negotiations, MAX_NEGOTIATIONS),
            or(said.transfers, MAX_TRANSFERS),
            or(said.agreements, MAX_AGREEMENTS),
        )
    }

    /// Whether the bounds are bounds.
    ///
    /// # Errors
    /// `config.invalid` for one that is 0 or beyond [`MAX_QUOTA`], for a partner that is named
    /// twice, and for more partners than [`MAX_QUOTED`].
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let invalid = |why: String| Err(Problem::new(codes::CONFIG_INVALID, why));
        if self.partners.len() > MAX_QUOTED {
            return invalid(format!("quotas.partners has more than {MAX_QUOTED}"));
        }
        let of_partners = self.partners.iter().map(|one| one.said);
        for said in std::iter::once(self.all).chain(of_partners) {
            for (key, value) in KEYS.iter().zip(said.values()) {
                if value.is_some_and(|value| !(1..=MAX_QUOTA).contains(&value)) {
                    return invalid(format!("quotas: {key} is not from 1 to {MAX_QUOTA}"));
                }
            }
        }
        for (at, one) in self.partners.iter().enumerate() {
            if one.id.is_empty() || self.partners.iter().take(at).any(|other| other.id == one.id) {
                return invalid(format!("quotas.partners names {:?} twice, or nobody", one.id));
            }
        }
        Ok(())
    }
}

/// The rates of a partner: requests, their bytes, new decisions.
#[must_use]
pub(crate) fn rates(said: Said) -> [crate::rates::Rate; 3] {
    [
        REQUESTS.at(said.requests_per_second, 1),
        RECEIVED.at(said.bytes_per_second, ONE_BODY),
        DECISIONS.at(said.decisions_per_second, 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::{KEYS, MAX_QUOTA, QuotaSettings, rates};
    use crate::config::Config;

    fn check(text: &str, ok: bool) -> QuotaSettings {
        let head = "organisation = \"did:web:a.example\"\nname = \"a\"\n";
        let read = Config::parse(&format!("{head}{text}"));
        assert_eq!(read.is_ok(), ok, "{text}: {read:?}");
        read.map(|config| config.quotas).unwrap_or_default()
    }

    #[test]
    fn a_partner_has_its_own_bounds_else_those_of_all_else_the_usual_ones() {
        let quotas = check(
            "[quotas]\nnegotiations = 7\nagreements = 9\nrequests_per_second = 1000\n\
             [[quotas.partners]]\nid = \"b\"\nagreements = 10\n",
            true,
        );
        assert_eq!(quotas.processes("a"), (7, 1_000, 9));
        assert_eq!(quotas.processes("b"), (7, 1_000, 10));
        let [requests, received, _] = rates(quotas.said("b"));
        assert_eq!((requests.count, requests.burst), (1_000, 10_000));
        assert_eq!((received.count, received.burst), (65_536, 16 << 20));
        assert_eq!(check("", true).processes("b"), (100, 1_000, 250));
    }

    #[test]
    fn a_quota_below_the_usual_one_bounds_what_comes_at_once_too() {
        let quotas = check("[quotas]\nrequests_per_second = 3\nbytes_per_second = 3\n", true);
        let [requests, received, _] = rates(quotas.said("b"));
        assert_eq!((requests.count, requests.burst), (3, 30));
        assert_eq!((received.count, received.burst), (3, 1 << 20));
    }

    #[test]
    fn the_page_about_limits_shows_quotas() {
        let page = include_str!("../../../docs/limits.md");
        let (_, rest) = page.split_once("    [quotas]\n").unwrap();
        let (shown, _) = rest.split_once("\n\n").unwrap();
        let quotas = check(&format!("[quotas]\n{shown}"), true);
        assert_eq!(quotas.processes("did:web:maker.example"), (1_000, 10_000, 100_000));
    }

    #[test]
    fn bounds_that_are_none_are_refused() {
        for key in KEYS {
            check(&format!("[quotas]\n{key} = 1"), true);
            check(&format!("[quotas]\n{key} = {MAX_QUOTA}"), true);
            for bad in ["0", "-1", "1.5", "\"1\"", "1073741825", "99999999999"] {
                check(&format!("[quotas]\n{key} = {bad}"), false);
                check(&format!("[[quotas.partners]]\nid = \"b\"\n{key} = {bad}"), false);
            }
        }
        check("[quotas]\nnegotiation = 1", false);
        check("[[quotas.partners]]\nnegotiations = 1", false);
        check("[[quotas.partners]]\nid = \"\"\nnegotiations = 1", false);
        check("[[quotas.partners]]\nid = \"b\"\nname = \"b\"", false);
        check("[[quotas.partners]]\nid = \"b\"\n[[quotas.partners]]\nid = \"b\"", false);
    }
}
