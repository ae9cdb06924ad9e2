//! The crate from outside: files through maps, and the wind farm that is shipped as an example.

#[cfg(test)]
mod files;
#[cfg(test)]
mod guess;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod wind;
