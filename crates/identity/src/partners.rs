//! The partners whose certificates we accept, and the one function that accepts them.
//!
//! Each pinned root is valid for its own trust domain only: the leaf's SPIFFE id picks the root
//! that its chain is checked against, so no root can vouch for another organisation. There are no
//! public authorities and no revocation lists; certificates live an hour, and taking a partner out
//! of the set ends its trust at the next handshake and on live connections at once: these wait for
//! it ([`Partners::taken_out`]), and each request asks ([`PartnerSet::still_holds`]).

use crate::certificate::{Facts, RootCertificate};
use crate::refusal::Refusal;
use crate::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::{CertificateDer, UnixTime};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use twinpact_model::time::WallTime;
use twinpact_model::{Did, Problem, codes};
use twinpact_proof::{Digest, sha256};
use webpki::{EndEntityCert, KeyUsage};

/// The most partners of one node.
pub const MAX_PARTNERS: usize = 4096;
/// The most certificates that a peer may present, the leaf included.
pub const MAX_CHAIN: usize = 4;

/// An organisation that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Its name.
    pub did: Did,
    /// Its pinned root.
    pub root: RootCertificate,
}

/// Who a peer is, as its verified chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The organisation.
    pub did: Did,
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// The program: what tokens are bound to.
    pub spiffe_id: SpiffeId,
    /// SHA-256 of the leaf's DER bytes.
    pub leaf_sha256: Digest,
    /// SHA-256 of the pinned root's DER bytes.
    pub root_sha256: Digest,
    /// The end of the chain's life: of whichever certificate in it runs out first.
    pub not_after: WallTime,
}

/// Which side of a connection a peer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side<'a> {
    /// It called us; it may be any partner.
    Client,
    /// We called it, and it must be this one.
    Server(&'a TrustDomain),
}

/// The partners at one moment, by trust domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartnerSet(BTreeMap<TrustDomain, Partner>);

impl PartnerSet {
    /// The set of these partners.
    ///
    /// # Errors
    /// `identity.certificate` when a root is not of the trust domain of its DID, `identity.name`
    /// when a DID has none, `trust.conflict.domain` when two share one, `input.too_large` beyond
    /// [`MAX_PARTNERS`].
    pub fn new(partners: impl IntoIterator<Item = Partner>) -> Result<Self, Problem> {
        let mut set = BTreeMap::new();
        for partner in partners {
            let domain = TrustDomain::of_did(&partner.did)?;
            if partner.root.trust_domain() != &domain {
                let why = format!("the {:?} is not one of {}", partner.root, partner.did);
                return Err(Problem::new(codes::IDENTITY_CERTIFICATE, why));
            }
            if set.len() == MAX_PARTNERS {
                let why = format!("more than {MAX_PARTNERS} partners");
                return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
            }
            match set.entry(domain) {
                Entry::Vacant(slot) => slot.insert(partner),
                Entry::Occupied(slot) => {
                    let (one, two) = (&slot.get().did, &partner.did);
                    let why = format!("{one} and {two} share the trust domain {}", slot.key());
                    return Err(Problem::new(codes::TRUST_CONFLICT_DOMAIN, why));
                }
            };
        }
        Ok(PartnerSet(set))
    }

    /// The partner of that trust domain.
    #[must_use]
    pub fn get(&self, trust_domain: &TrustDomain) -> Option<&Partner> {
        self.0.get(trust_domain)
    }

    /// All of them, by trust domain.
    pub fn iter(&self) -> impl Iterator<Item = &Partner> {
        self.0.values()
    }

    /// Who presents this chain, leaf first. The caller has seen that the peer holds the leaf's key.
    ///
    /// # Errors
    /// The first reason why the chain is not that of a partner on that side at that time.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        side: Side<'_>,
        now: WallTime,
    ) -> Result<PeerIdentity, Refusal> {
        let Some((leaf, issuers)) = chain.split_first().filter(|_| chain.len() <= MAX_CHAIN) else {
            return Err(Refusal::Malformed);
        };
        let facts = read_chain(chain)?;
        let spiffe_id = own_claims(&facts, now)?;
        let domain = spiffe_id.trust_domain();
        if matches!(side, Side::Server(expected) if expected != domain) {
            return Err(Refusal::WrongDomain);
        }
        let partner = self.get(domain).ok_or(Refusal::NotAPartner)?;
        check_path(leaf, issuers, &partner.root, side, now)?;
        in_life(partner.root.not_before(), partner.root.not_after(), now)?;
        let not_after = facts.iter().map(|f| f.not_after).min();
        Ok(PeerIdentity {
            did: partner.did.clone(),
            trust_domain: domain.clone(),
            leaf_sha256: sha256(leaf),
            root_sha256: *partner.root.sha256(),
            not_after: not_after.unwrap_or(now).min(partner.root.not_after()),
            spiffe_id,
        })
    }

    /// Whether a peer that was verified earlier still is a partner under the same root and its
    /// chain has not run out: asked per request on a live connection.
    #[must_use]
    pub fn still_holds(&self, peer: &PeerIdentity, now: WallTime) -> bool {
        self.pins(peer) && now <= peer.not_after
    }

    fn pins(&self, peer: &PeerIdentity) -> bool {
        let pinned = self.get(&peer.trust_domain);
        pinned.is_some_and(|p| p.did == peer.did && p.root.sha256() == &peer.root_sha256)
    }
}

fn read_chain(chain: &[CertificateDer<'_>]) -> Result<Vec<Facts>, Refusal> {
    chain.iter().map(|der| Facts::read(der).ok_or(Refusal::Malformed)).collect()
}

/// What a chain must say of itself, before we look whether anybody vouches for it. It depends on
/// the certificates alone and not on who our partners are.
fn own_claims(facts: &[Facts], now: WallTime) -> Result<SpiffeId, Refusal> {
    let (leaf, issuers) = facts.split_first().ok_or(Refusal::Malformed)?;
    if !leaf.is_leaf() {
        return Err(Refusal::NotALeaf);
    }
    let id = leaf.uri().and_then(|uri| SpiffeId::parse(uri).ok()).ok_or(Refusal::NoSpiffeId)?;
    // Also those that the path would not need: what a peer presents is in order as a whole.
    for f in facts {
        in_life(f.not_before, f.not_after, now)?;
    }
    if !issuers.iter().all(|f| f.is_ca && f.signs_certificates) {
        return Err(Refusal::NotAnIssuer);
    }
    // The pinned root decides in any case; this only tells a mix-up from a stranger.
    let domain = id.trust_domain().uri();
    let foreign = |uri: &String| uri.starts_with("spiffe:") && uri != &domain;
    if issuers.iter().flat_map(|f| &f.uris).any(foreign) {
        return Err(Refusal::WrongDomain);
    }
    Ok(id)
}

fn in_life(not_before: WallTime, not_after: WallTime, now: WallTime) -> Result<(), Refusal> {
    if now > not_after {
        Err(Refusal::Expired)
    } else if now < not_before {
        Err(Refusal::NotYetValid)
    } else {
        Ok(())
    }
}

/// Whether the signatures lead from the leaf to that root (RFC 5280 §6).
pub(crate) fn check_path(
    leaf: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    root: &RootCertificate,
    side: Side<'_>,
    now: WallTime,
) -> Result<(), Refusal> {
    let root = CertificateDer::from(root.der());
    let anchor = webpki::anchor_from_trusted_cert(&root).map_err(|_| Refusal::ForeignRoot)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| Refusal::Malformed)?;
    let usage = match side {
        Side::Client => KeyUsage::client_auth(),
        Side::Server(_) => KeyUsage::server_auth(),
    };
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &[anchor], issuers, unix(now), usage, None, None)
        .map(|_| ())
        .map_err(|error| refusal(&error))
}

fn refusal(error: &webpki::Error) -> Refusal {
    match error {
        webpki::Error::CertExpired { .. } | webpki::Error::InvalidCertValidity => Refusal::Expired,
        webpki::Error::CertNotValidYet { .. } => Refusal::NotYetValid,
        webpki::Error::CaUsedAsEndEntity => Refusal::NotALeaf,
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
            Refusal::WrongPurpose
        }
        // Names repeat across organisations, so a foreign chain may fail by its signature too.
        _ => Refusal::ForeignRoot,
    }
}

/// TLS counts whole seconds since 1970.
fn unix(now: WallTime) -> UnixTime {
    let seconds = u64::try_from(now.0.seconds()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// The partners that new handshakes are held against; replaced as a whole at run time.
#[derive(Clone)]
pub struct Partners(Arc<watch::Sender<Arc<PartnerSet>>>);

impl Default for Partners {
    fn default() -> Self {
        Partners::new(PartnerSet::default())
    }
}

impl Partners {
    /// Beginning with that set.
    #[must_use]
    pub fn new(set: PartnerSet) -> Self {
        Partners(Arc::new(watch::Sender::new(Arc::new(set))))
    }

    /// The set at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<PartnerSet> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts another set in its place, for every holder of a clone.
    pub fn replace(&self, set: PartnerSet) {
        self.0.send_replace(Arc::new(set));
    }

    /// Waits until a peer that was verified earlier is no partner any more, or one under another
    /// root: what ends its live connections, without anybody asking again and again.
    pub async fn taken_out(&self, peer: &PeerIdentity) {
        let mut changes = self.0.subscribe();
        // The sender cannot go while it is borrowed here, so the wait has no other end.
        let _ = changes.wait_for(|set| !set.pins(peer)).await;
    }
}

impl fmt::Debug for Partners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partners", self.snapshot().0.len())
    }
}

#[cfg(test)]
mod tests;
