//! Floor 0: proofs that need no server and trust only what the verifier pinned.
//!
//! This crate knows nothing of twins, contracts or nodes, and its only cryptography is SHA-256 and
//! Ed25519, so that it can be published alone, compiled for a browser, or written again in another
//! language from `docs/format.md`.

pub mod anchor;
pub mod broken;
pub mod build;
pub mod bundle;
pub mod cbor;
mod chain;
pub mod commit;
pub mod containment;
pub mod deletion;
pub mod digest;
pub mod documents;
pub mod dsse;
pub mod evidence;
pub mod fields;
pub mod fork;
mod held;
pub mod json;
pub mod keys;
pub mod learned;
pub mod mac;
pub mod note;
pub mod policy;
pub mod record;
pub mod story;
pub mod successor;
pub mod text64;
pub mod tree;
pub mod trust;
pub mod verdict;
pub mod verify;
pub mod vkey;
pub mod witness;
pub mod witness_record;

pub use broken::{Broken, Link};
pub use bundle::Bundle;
pub use digest::{Digest, sha256, to_hex};
pub use dsse::Envelope;
pub use json::Json;
pub use keys::{PublicKey, SecretKey};
pub use record::Record;
pub use trust::Trust;
pub use verdict::{Level, Verdict};
pub use verify::{verify, verify_bundle};
