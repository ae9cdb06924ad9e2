//! Floor 0: proofs that need no server and trust only what the verifier pinned.
//!
//! This crate knows nothing of twins, contracts or nodes, and its only cryptography is SHA-256 and
//! Ed25519, so that it can be published alone, compiled for a browser, or written again in another
//! language from `docs/format.md`.

pub mod digest;
pub mod json;

pub use digest::{Digest, sha256};
