//! What a bundle that holds is worth to its reader: who stands behind it among those pinned, and
//! what it says, in sentences.
//!
//! The levels are ordered so that each includes the ones below it. A delivery has two parties: it
//! goes from `signed` over `countersigned` to `witnessed`, and a quorum of witnesses does not make
//! up for a missing countersignature. A fact has one party: it goes from `signed` to `witnessed`.

use crate::broken::{Broken, Link};
use crate::bundle::{Bundle, ClaimKind, Exactness};
use crate::chain::Facts;
use crate::commit::read_point;
use crate::digest::{Digest, to_hex};
use crate::documents::{Clock, Receipt};
use crate::dsse::Envelope;
use crate::fields::shown;
use crate::fork::Seen;
use crate::keys::PublicKey;
use crate::record::{Record, RecordKey};
use crate::trust::{PinnedOrganisation, Trust, pinned_log};
use crate::verify::{Documents, Parties, SignedNote, tick_time};
use std::fmt;

/// Who stands behind a bundle; each level includes those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It is consistent, but signed by nobody whom the reader pinned.
    Unanchored,
    /// The issuer is pinned and has signed.
    Signed,
    /// Issuer and audience are pinned, and both have signed the agreement and the receipt.
    Countersigned,
    /// A quorum of pinned witnesses, one of them no party, has seen the checkpoint; and a
    /// delivery is countersigned.
    Witnessed,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Level; 4] =
        [Level::Unanchored, Level::Signed, Level::Countersigned, Level::Witnessed];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Unanchored => "unanchored",
            Level::Signed => "signed",
            Level::Countersigned => "countersigned",
            Level::Witnessed => "witnessed",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A party whom the reader has not pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinned {
    /// The DID that it gives itself.
    pub did: String,
    /// The fingerprint of its record.
    pub record: Digest,
    /// The record, for [`Trust::add`].
    pub envelope: Envelope,
}

/// A bundle that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Who stands behind it.
    pub level: Level,
    /// Fact or delivery.
    pub kind: ClaimKind,
    /// The DID of the organisation that recorded or delivered.
    pub issuer: String,
    /// The DID of the organisation that a delivery went to.
    pub audience: Option<String>,
    /// What is proven, line by line, for people.
    pub statement: Vec<String>,
    /// What a reader should know beside it.
    pub notes: Vec<String>,
    /// The parties with a record in the bundle that the reader has not pinned.
    pub unpinned: Vec<Unpinned>,
    /// The names of the pinned witnesses that saw the checkpoint.
    pub witnesses: Vec<String>,
    /// Why a delivery is not countersigned; `None` when it is, and of a fact.
    pub uncountersigned: Option<String>,
    /// What it shows of the log, for pinning and for [`crate::fork::check_fork`].
    pub seen: Seen,
}

/// `trust` and `witness`, and the verdict.
pub(crate) fn judge(
    bundle: &Bundle,
    parties: &Parties,
    facts: &Facts<'_>,
    documents: &Documents,
    note: &SignedNote,
    trust: Option<&Trust>,
) -> Result<Verdict, Broken> {
    let nothing = Trust::default();
    let trust = trust.unwrap_or(&nothing);
    trust.check().map_err(|why| Link::Trust.malformed(why))?;
    let seen = Seen::of(bundle)
        .ok_or_else(|| Link::Checkpoint.broken("the checkpoint is not a signed note"))?;
    let issuer_pin = pinned(bundle, parties, documents, note, trust)?;
    check_history(&seen, issuer_pin, trust)?;
    let audience_pin = match (&parties.audience, bundle.records.get(1)) {
        (Some(record), Some(envelope)) => {
            check_keys(trust, record, envelope, &document_signers(documents, record))?
        }
        _ => None,
    };
    let (witnesses, quorum) = check_witnesses(parties, documents, note, trust)?;
    let uncountersigned = match bundle.claim.kind {
        ClaimKind::Fact => None,
        ClaimKind::Delivery => uncountersigned(bundle, parties, documents, audience_pin),
    };
    let complete = uncountersigned.is_none();
    let countersigned = complete && bundle.claim.kind == ClaimKind::Delivery;
    let level = match (issuer_pin.is_some(), countersigned, quorum && complete) {
        (false, _, _) => Level::Unanchored,
        (true, _, true) => Level::Witnessed,
        (true, true, false) => Level::Countersigned,
        (true, false, false) => Level::Signed,
    };
    let mut notes = notes(bundle, parties, facts, documents, note, trust);
    if quorum && !complete {
        notes.push("a quorum of witnesses saw it, but it is not countersigned".to_owned());
    }
    Ok(Verdict {
        level,
        kind: bundle.claim.kind,
        issuer: parties.issuer.did.clone(),
        audience: documents.agreement.as_ref().map(|signed| signed.document.audience.clone()),
        statement: statement(bundle, parties, facts, documents),
        notes,
        unpinned: unpinned(bundle, parties, trust),
        witnesses,
        uncountersigned,
        seen,
    })
}

/// The keys of that organisation which signed the documents.
fn document_signers(documents: &Documents, record: &Record) -> Vec<PublicKey> {
    let keys = record.all_keys();
    let agreement = documents.agreement.iter().flat_map(|signed| &signed.signers);
    let decision = documents.decision.iter().flat_map(|signed| &signed.signers);
    let receipt = documents.receipt.iter().flat_map(|signed| &signed.signers);
    agreement.chain(decision).chain(receipt).filter(|key| keys.contains(key)).copied().collect()
}

/// The pin of the issuer, when there is one; all that it signed must then be by pinned keys, and
/// its log must be the pinned one.
fn pinned<'a>(
    bundle: &Bundle,
    parties: &Parties,
    documents: &Documents,
    note: &SignedNote,
    trust: &'a Trust,
) -> Result<Option<&'a PinnedOrganisation>, Broken> {
    let Some(envelope) = bundle.records.first() else { return Ok(None) };
    let record = &parties.issuer;
    let mut keys = document_signers(documents, record);
    keys.extend_from_slice(&note.signers);
    let Some(pin) = check_keys(trust, record, envelope, &keys)? else { return Ok(None) };
    let did = &record.did;
    let time = tick_time(bundle);
    if note.signers.iter().any(|key| pin.key(key).is_some_and(|pinned| pinned.ended_by(time))) {
        return Err(Link::Trust.broken(format!(
            "this bundle says it is from {did}, but its checkpoint is signed with a key that had \
             ended by then"
        )));
    }
    if pin.log(&record.origin) != Some(&pinned_log(record)) {
        return Err(Link::Trust.broken(format!(
            "this bundle says it is from {did}, but names another log, or other slots in it, than \
             you pinned"
        )));
    }
    Ok(Some(pin))
}

/// The pin of an organisation, when there is one; the record and everything else must then be
/// signed by pinned keys.
fn check_keys<'a>(
    trust: &'a Trust,
    record: &Record,
    envelope: &Envelope,
    used: &[PublicKey],
) -> Result<Option<&'a PinnedOrganisation>, Broken> {
    let Some(pin) = trust.organisation(&record.did) else { return Ok(None) };
    let did = &record.did;
    let vouched = pin.keys.iter().any(|pinned| envelope.signed_by(&pinned.key.0));
    if !vouched {
        return Err(Link::Trust.broken(format!(
            "this bundle says it is from {did}, but is signed by a key that is not the one you \
             pinned"
        )));
    }
    match used.iter().find(|key| pin.key(key).is_none()) {
        None => Ok(Some(pin)),
        Some(key) => Err(Link::Trust.broken(format!(
            "this bundle of {did} is signed by {}, which is not among the keys you pinned; if the \
             organisation has a new record, add that first",
            key.id()
        ))),
    }
}

/// That the log shows no other history than it did before.
fn check_history(
    seen: &Seen,
    pin: Option<&PinnedOrganisation>,
    trust: &Trust,
) -> Result<(), Broken> {
    let other = trust.anchors.iter().find(|anchor| {
        anchor.origin == seen.origin && anchor.size == seen.size && anchor.root.0 != seen.root
    });
    match (pin, other) {
        (Some(_), Some(anchor)) => Err(Link::Trust.broken(format!(
            "the log {} has shown you another root at size {}: it keeps two histories",
            seen.origin, anchor.size
        ))),
        _ => Ok(()),
    }
}

/// Why the audience does not stand behind a delivery: the first thing that is missing, or `None`.
fn uncountersigned(
    bundle: &Bundle,
    parties: &Parties,
    documents: &Documents,
    pin: Option<&PinnedOrganisation>,
) -> Option<String> {
    let agreement = documents.agreement.as_ref()?;
    let did = &agreement.document.audience;
    let Some(audience) = &parties.audience else {
        return Some(format!("the record of {did} is not in it"));
    };
    let Some(receipt) = &documents.receipt else { return Some("there is no receipt".to_owned()) };
    let concluded = agreement.document.concluded;
    // A receipt that is shown under a later tick was made at some time after the agreement.
    let own_tick = receipt.document.tick == bundle.anchor.tick;
    let delivered = if own_tick { tick_time(bundle) } else { concluded };
    unsigned(audience, pin, Link::Agreement, &agreement.signers, concluded)
        .or_else(|| unsigned(audience, pin, Link::Receipt, &receipt.signers, delivered))
        .or_else(|| pin.is_none().then(|| format!("{did} is nobody whom you named")))
}

/// Why the audience's signature on a document that was made then at the earliest does not count.
fn unsigned(
    audience: &Record,
    pin: Option<&PinnedOrganisation>,
    link: Link,
    signers: &[PublicKey],
    made: i64,
) -> Option<String> {
    let did = &audience.did;
    let mut keys = audience.keys.iter().filter(|key| signers.contains(&key.key)).peekable();
    if keys.peek().is_none() {
        return Some(format!("the {link} has no signature of {did}"));
    }
    let pinned = |key: &RecordKey| pin.and_then(|pin| pin.key(&key.key));
    let ended = |key: &RecordKey| {
        key.ended_by(made) || pinned(key).is_some_and(|pinned| pinned.ended_by(made))
    };
    keys.all(ended).then(|| format!("{did} signed the {link} with a key that had ended before"))
}

/// `witness`: every line of a pinned witness holds. The names of those, and whether they are a
/// quorum with one among them that is no party.
fn check_witnesses(
    parties: &Parties,
    documents: &Documents,
    signed: &SignedNote,
    trust: &Trust,
) -> Result<(Vec<String>, bool), Broken> {
    let (mut names, mut outsider) = (Vec::new(), false);
    for witness in &trust.witnesses {
        let mut lines = signed
            .note
            .signatures
            .iter()
            .filter(|line| signed.note.names_witness(line, &witness.name, &witness.key.0))
            .peekable();
        if lines.peek().is_none() {
            continue;
        }
        let key = &witness.key.0;
        if lines.any(|line| signed.note.cosigned_by(line, &witness.name, key).is_none()) {
            return Err(Link::Witness.broken(format!(
                "the cosignature of the witness {} does not hold",
                shown(&witness.name)
            )));
        }
        let audience = documents.agreement.as_ref().map(|a| a.document.audience.as_str());
        let party = witness.party.as_deref();
        outsider |=
            party != Some(parties.issuer.did.as_str()) && (party.is_none() || party != audience);
        names.push(witness.name.clone());
    }
    let quorum = outsider && names.len() as u64 >= u64::from(trust.quorum);
    Ok((names, quorum))
}

fn unpinned(bundle: &Bundle, parties: &Parties, trust: &Trust) -> Vec<Unpinned> {
    let records = [Some(&parties.issuer), parties.audience.as_ref()];
    records
        .into_iter()
        .flatten()
        .zip(&bundle.records)
        .filter(|(record, _)| trust.organisation(&record.did).is_none())
        .map(|(record, envelope)| Unpinned {
            did: record.did.clone(),
            record: envelope.fingerprint(),
            envelope: envelope.clone(),
        })
        .collect()
}

/// What was proven, for people.
fn statement(
    bundle: &Bundle,
    parties: &Parties,
    facts: &Facts<'_>,
    documents: &Documents,
) -> Vec<String> {
    let mut lines = Vec::new();
    let (did, index) = (&parties.issuer.did, bundle.entry.index);
    let audience = documents.agreement.as_ref().map(|signed| signed.document.audience.as_str());
    match &facts.delivery {
        Some(delivery) => {
            lines.push(format!(
                "{did} delivered {} items ({} bytes) of {} to {}",
                delivery.count,
                delivery.bytes,
                shown(&delivery.view),
                audience.unwrap_or_default(),
            ));
            lines.push(format!(
                "under agreement {}, as entry {index} of its ledger",
                to_hex(&delivery.agreement)
            ));
        }
        None => {
            let name = parties.issuer.slots.iter().find(|named| named.tree == bundle.entry.tree);
            let name = name.map_or("?", |named| named.name.as_str());
            let subject = shown(&bundle.claim.subject);
            let about = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
            lines.push(format!("{did} recorded{about}, as entry {index} of its {name}"));
        }
    }
    for attribute in &facts.attributes {
        let (path, lexical) = (shown(attribute.path), shown(attribute.lexical));
        lines.push(format!("{path} = {lexical}"));
    }
    for item in bundle.items.iter().flat_map(|items| &items.shown) {
        if let Some(point) = read_point(&item.bytes) {
            let (time, lexical) = (shown(point.time), shown(point.lexical));
            lines.push(format!("item {}: {time} {lexical}", item.index));
        }
    }
    lines.push(format!(
        "in the log {} since tick {}, {}",
        parties.issuer.origin,
        bundle.anchor.tick,
        utc(tick_time(bundle))
    ));
    lines.extend(documents.receipt.iter().map(|signed| receipt_line(&signed.document)));
    lines
}

fn receipt_line(receipt: &Receipt) -> String {
    let delivered = utc(receipt.at);
    match receipt.delete_by {
        None => format!("receipt: delivered {delivered}"),
        Some(by) => format!("receipt: delivered {delivered}, to be deleted by {}", utc(by)),
    }
}

fn notes(
    bundle: &Bundle,
    parties: &Parties,
    facts: &Facts<'_>,
    documents: &Documents,
    signed: &SignedNote,
    trust: &Trust,
) -> Vec<String> {
    let mut notes = Vec::new();
    match &bundle.exactness {
        Exactness::Exact if facts.why => {}
        Exactness::Exact => {
            notes.push("exact as the issuer says: @why, which would show it, is withheld".into());
        }
        Exactness::Transformed(by) => {
            notes.push(format!("the values were transformed by {}", to_hex(by)));
        }
    }
    if documents.receipt.as_ref().is_some_and(|r| r.document.clock == Clock::Driven) {
        notes.push("driven clock: not evidence".to_owned());
    }
    if documents.agreement.is_some() && documents.receipt.is_none() {
        notes.push("there is no receipt: only the ledger entry is proven".to_owned());
    }
    let issuer = |line: &&crate::note::NoteSignature| line.name != parties.issuer.origin;
    for line in signed.note.signatures.iter().filter(issuer) {
        let known =
            trust.witnesses.iter().any(|w| signed.note.names_witness(line, &w.name, &w.key.0));
        if !known {
            let name = shown(&line.name);
            notes.push(format!("the signature of {name} on the checkpoint was not checked"));
        }
    }
    notes
}

/// A time in microseconds since 1970 as RFC 3339 in UTC, to the second. Days are turned into dates
/// of the proleptic Gregorian calendar in eras of 400 years that begin in March.
pub(crate) fn utc(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{Level, utc};

    #[test]
    fn levels_rise_and_are_known_by_name() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::parse(level.name()), Some(level));
        }
        assert_eq!(Level::parse("certain"), None);
    }

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_437_876_000, "2015-07-26T02:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds * 1_000_000), expect, "{seconds}");
        }
        // No time that a signed type can hold is too far.
        assert!(utc(i64::MAX).ends_with('Z') && utc(i64::MIN).ends_with('Z'));
    }
}
