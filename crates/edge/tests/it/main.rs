//! The crate from outside: files through maps, and the wind farm that is shipped as an example.

mod files;
mod wind;
