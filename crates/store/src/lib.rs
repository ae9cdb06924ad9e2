//! Floor 4: the one durable thing of a node.
//!
//! An append-only log of frames ([`log`]), each one group commit and one `fdatasync`; payloads
//! sealed under keys that erasure and expiry destroy ([`seal`], [`keystore`]); and in memory the
//! Merkle trees over what the log holds ([`forest`]). [`Store`] puts them together. All file access
//! goes through [`vfs::Vfs`]. Bytes: docs/format.md, "Log and keys".

pub mod bytes;
pub mod destroy;
pub mod directory;
pub mod forest;
pub mod frame;
pub mod keystore;
pub mod log;
pub mod payload;
mod reading;
pub mod redo;
mod replay;
pub mod seal;
pub mod spare;
mod store;
pub mod successor;
pub mod vfs;

pub use directory::Directory;
pub use forest::{Forest, Proof, TreeNo};
pub use frame::Opens;
pub use store::{Committed, Cut, Draft, Gone, ItemPoint, Opened, Replayed, Store, Subject};
pub use successor::Successor;
