//! Floor 4: who we are, who a partner is, and where we may connect to.
//!
//! Certificates are X.509-SVIDs (SPIFFE) under one root per organisation; a partner's root is
//! pinned and valid for that partner's trust domain alone ([`partners`]). The TLS configurations
//! for partners ([`tls`]) trust nothing else: no public authority, no host name, no default
//! provider; those for connectors of others ([`web`]) trust what the operator names. This crate
//! opens no socket; it touches the disk in [`disk`] only, and reads a clock in
//! [`tls::system_clock`] only.

pub mod ca;
pub mod certificate;
pub mod claims;
pub mod disk;
pub mod files;
#[cfg(test)]
mod forge;
pub mod held;
pub mod outgoing;
pub mod partners;
pub mod refusal;
pub mod signer;
pub mod spiffe;
pub mod tls;
pub mod token;
pub mod web;

pub use ca::{IssuingCa, NodeCertificate, Root};
pub use certificate::RootCertificate;
pub use held::Held;
pub use partners::{Partner, PartnerSet, Partners, PeerIdentity};
pub use refusal::Refusal;
pub use signer::Signer;
pub use spiffe::{SpiffeId, TrustDomain};
