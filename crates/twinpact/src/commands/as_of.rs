//! `--as-of TIME`: asking the node for what it had recorded by then.

use crate::cli::AsOf;
use twinpact_gateway::client::segment;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;

impl AsOf {
    /// The path with the time as a query, if there is one; nothing is behind the path yet.
    ///
    /// # Errors
    /// `input.time`.
    pub(crate) fn of(&self, path: &str) -> Result<String, Problem> {
        self.and(path, '?')
    }

    /// The same behind a `?` or `&`.
    ///
    /// # Errors
    /// `input.time`.
    pub(crate) fn and(&self, path: &str, sign: char) -> Result<String, Problem> {
        let Some(text) = &self.as_of else { return Ok(path.to_owned()) };
        let time = Timestamp::parse(text)?;
        Ok(format!("{path}{sign}as-of={}", segment(&time.to_string())))
    }
}
