//! The maker's job: what `twinpact watch` does, one step after another.

use super::RULE;
use super::setup::Three;
use crate::watch::{Led, Options, Step, Watch, is_away};
use std::path::PathBuf;
use twinpact_model::problem::Problem;

/// The job of the maker, which goes on from its file when its node was started again.
pub(crate) struct Job<'a> {
    three: &'a Three,
    state: PathBuf,
    watch: Option<Watch>,
    /// How many copies it has read, and how many rows of them.
    pub(crate) read: (usize, usize),
}

impl Job<'_> {
    pub(crate) fn new(three: &Three, state: PathBuf) -> Job<'_> {
        Job { three, state, watch: None, read: (0, 0) }
    }

    /// Begins, if it has not: from then on the stream is followed.
    pub(crate) async fn begin(&mut self) -> Result<(), Problem> {
        if self.watch.is_some() {
            return Ok(());
        }
        let open = async |client| {
            let options = Options {
                agreement: self.three.rows.clone(),
                purpose: None,
                place: None,
                state: Some(self.state.clone()),
            };
            Watch::open(client, RULE, options).await
        };
        self.watch = Some(self.three.maker.persistent(open).await?);
        Ok(())
    }

    /// Takes what has come, and says what it found.
    pub(crate) async fn step(&mut self) -> Result<Vec<Led>, Problem> {
        loop {
            self.begin().await?;
            let Some(watch) = &mut self.watch else { continue };
            match watch.step().await {
                Ok(Step { refused: Some(why), .. }) => return Err(why),
                Ok(step) => {
                    self.read = (self.read.0 + step.copies, self.read.1 + step.rows);
                    return Ok(step.led);
                }
                // The node has another door after a start.
                Err(problem) if is_away(&problem) => {
                    self.three.maker.forget();
                    self.watch = None;
                }
                Err(problem) => return Err(problem),
            }
        }
    }
}
