//! Floor 6: the doors. Every listener and every outgoing HTTP call of the project is here, and no
//! other crate names an HTTP library.
//!
//! [`admin`] is the loopback door of the organisation's own people; [`client`] is how the command
//! line reaches it. [`federation`] is the door for partners, and [`outgoing`] is how we call
//! theirs: mutual TLS 1.3 in both directions. [`places`] says who may hold how many connections to
//! it. [`openapi`] describes what can be asked. Refusals are RFC 9457 problem documents
//! ([`refusal`]).

pub mod admin;
pub mod client;
pub mod connectors;
mod copies;
pub mod doctor;
mod erasures;
mod events;
pub mod federation;
mod followed;
mod incidents;
mod kept;
mod kpis;
mod logs;
mod negotiations;
pub mod openapi;
pub mod outgoing;
mod owned;
mod paced;
pub mod places;
pub mod port;
pub mod refusal;
pub mod running;
pub mod sources;
mod transfers;

pub use admin::AdminListener;
pub use client::AdminClient;
pub use connectors::ConnectorListener;
pub use federation::FederationListener;
pub use outgoing::HttpsOutbound;
pub use running::Running;
