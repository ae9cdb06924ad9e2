//! Why a connection was refused: a closed set, so that it can be counted.
//!
//! A peer learns little: an alert that says "expired" or "certificate unknown". That its
//! certificate is out of its life depends on its certificate alone; all else looks alike, so that
//! nobody finds out by trying who our partners are.

use rustls::{CertificateError, Error, OtherError, PeerIncompatible};
use std::fmt;
use std::sync::Arc;
use twinpact_model::{Problem, codes};

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Its trust domain belongs to no pinned partner.
    NotAPartner,
    /// Its chain does not lead to the pinned root of its trust domain.
    ForeignRoot,
    /// It is of another trust domain than expected, or than its own issuer.
    WrongDomain,
    /// A certificate has run out.
    Expired,
    /// A certificate is not valid yet.
    NotYetValid,
    /// It is not a chain of certificates within our bounds.
    Malformed,
    /// The leaf does not carry exactly one SPIFFE id.
    NoSpiffeId,
    /// The leaf is a CA, or its key is not for handshakes only.
    NotALeaf,
    /// A certificate above the leaf may not sign others.
    NotAnIssuer,
    /// The certificate is not for this side of a connection.
    WrongPurpose,
    /// The peer does not hold the key of its certificate.
    BadSignature,
    /// The peer does not speak TLS 1.3.
    OldTls,
    /// The peer refused us; its alert does not say why for sure.
    ByPeer,
    /// Anything else that breaks the protocol.
    Protocol,
}

impl Refusal {
    /// Every reason, in the order of the source.
    pub const ALL: &[Refusal] = &[
        Refusal::NotAPartner,
        Refusal::ForeignRoot,
        Refusal::WrongDomain,
        Refusal::Expired,
        Refusal::NotYetValid,
        Refusal::Malformed,
        Refusal::NoSpiffeId,
        Refusal::NotALeaf,
        Refusal::NotAnIssuer,
        Refusal::WrongPurpose,
        Refusal::BadSignature,
        Refusal::OldTls,
        Refusal::ByPeer,
        Refusal::Protocol,
    ];

    /// The name in metrics; never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::NotAPartner => "not_a_partner",
            Refusal::ForeignRoot => "foreign_root",
            Refusal::WrongDomain => "wrong_domain",
            Refusal::Expired => "expired",
            Refusal::NotYetValid => "not_yet_valid",
            Refusal::Malformed => "malformed",
            Refusal::NoSpiffeId => "no_spiffe_id",
            Refusal::NotALeaf => "not_a_leaf",
            Refusal::NotAnIssuer => "not_an_issuer",
            Refusal::WrongPurpose => "wrong_purpose",
            Refusal::BadSignature => "bad_signature",
            Refusal::OldTls => "old_tls",
            Refusal::ByPeer => "by_peer",
            Refusal::Protocol => "protocol",
        }
    }

    /// The reason for an error of a handshake, on our side of it.
    #[must_use]
    pub fn of(error: &Error) -> Refusal {
        match error {
            Error::InvalidCertificate(why) => Refusal::of_certificate(why),
            Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Refusal::OldTls,
            Error::AlertReceived(_) => Refusal::ByPeer,
            _ => Refusal::Protocol,
        }
    }

    /// The same for an error of a stream over TLS; `None` when the connection failed by itself.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Option<Refusal> {
        error.get_ref()?.downcast_ref::<Error>().map(Refusal::of)
    }

    fn of_certificate(error: &CertificateError) -> Refusal {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Refusal::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Refusal::NotYetValid
            }
            CertificateError::BadSignature => Refusal::BadSignature,
            CertificateError::BadEncoding => Refusal::Malformed,
            CertificateError::Other(OtherError(inner)) => {
                inner.downcast_ref::<Refusal>().copied().unwrap_or(Refusal::Protocol)
            }
            _ => Refusal::Protocol,
        }
    }

    /// What a verifier hands to rustls, which picks the alert from it.
    pub(crate) fn into_error(self) -> Error {
        Error::InvalidCertificate(match self {
            Refusal::Expired => CertificateError::Expired,
            Refusal::NotYetValid => CertificateError::NotValidYet,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        })
    }

    /// As the failure of a call to a partner.
    #[must_use]
    pub fn problem(self, partner: &str) -> Problem {
        Problem::new(codes::TLS_REFUSED, format!("{self} ({partner})")).hint(self.remedy())
    }

    const fn remedy(self) -> &'static str {
        match self {
            Refusal::Expired | Refusal::NotYetValid => "compare the clocks of both machines",
            Refusal::ByPeer => "ask the partner to pin our record",
            Refusal::NotAPartner => "pin the partner's record",
            _ => "ask the partner over another line what has changed, before you pin anything",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotAPartner => "the trust domain belongs to no pinned partner",
            Refusal::ForeignRoot => "the certificate does not lead to the partner's pinned root",
            Refusal::WrongDomain => "the certificate is of another trust domain",
            Refusal::Expired => "the certificate has run out",
            Refusal::NotYetValid => "the certificate is not valid yet",
            Refusal::Malformed => "the certificate cannot be read",
            Refusal::NoSpiffeId => "the certificate does not carry exactly one SPIFFE id",
            Refusal::NotALeaf => "the certificate is not that of a program",
            Refusal::NotAnIssuer => "a certificate above the leaf may not sign others",
            Refusal::WrongPurpose => "the certificate is not for this side of a connection",
            Refusal::BadSignature => "the peer does not hold the key of its certificate",
            Refusal::OldTls => "the peer does not speak TLS 1.3",
            Refusal::ByPeer => "the peer refused us",
            Refusal::Protocol => "the handshake broke the protocol",
        })
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_survives_the_way_through_rustls() {
        let mut names: Vec<&str> = Refusal::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::of(&refusal.into_error()), *refusal);
            let io = std::io::Error::other(refusal.into_error());
            assert_eq!(Refusal::of_io(&io), Some(*refusal));
        }
        assert_eq!(Refusal::of_io(&std::io::ErrorKind::ConnectionReset.into()), None);
    }
}
