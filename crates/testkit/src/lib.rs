//! For tests only; no shipped crate may use it (tidy).
//!
//! What a node stands on, simulated: [`disk::SimDisk`] is a disk that loses power, tears writes,
//! fails, fills up and rots, [`net::Weather`] what a network does to messages and when nodes die.
//! Everything that happens follows from one seed, so that a run which failed can be run again.
//! [`mortal::Doom`] ends a real process at a chosen moment, and [`free_port`] is where a node can
//! come back to. [`readable`] is what a directory still gives away.

pub mod careless;
pub mod dice;
pub mod disk;
pub mod mortal;
pub mod net;
pub mod nonces;
pub mod ports;
mod readable;
pub mod through;

pub use careless::{Careless, Ignores};
pub use dice::Dice;
pub use disk::{SimDisk, Step};
pub use mortal::{Doom, Moment, MortalDisk};
pub use net::{Death, Fate, Next, Weather};
pub use ports::free_port;
pub use readable::readable;
pub use through::{Between, Through};
pub use twinpact_store::vfs::RealDisk;
