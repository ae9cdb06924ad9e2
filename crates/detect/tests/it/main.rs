//! The detector on real recordings.

#[cfg(test)]
mod recording;
#[cfg(test)]
mod wind;
