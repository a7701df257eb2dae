//! Has the ledger forget what jobs do not keep.

use std::time::{Duration, Instant};

/// How long after the past of all jobs was looked at it is looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

/// Where the search for what is not kept any more has come to. It begins with the daemon, and goes one step a pass.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    /// The last job that was seen.
    after: String,
    not_before: Option<Instant>,
}

impl Forgetting {
    /// Whether it is time for the next step.
    pub(crate) fn is_due(&self) -> bool {
        self.not_before.is_none_or(|time| time <= Instant::now())
    }

    /// Takes the next step, if it is time: `step` gets the job to go on after, and returns the last one that it has seen.
    /// Returns whether there is a further one.
    pub(crate) fn go_on<E>(
        &mut self,
        step: impl FnOnce(&str) -> Result<Option<String>, E>,
    ) -> Result<bool, E> {
        if !self.is_due() {
            return Ok(false);
        }
        match step(&self.after)? {
            Some(seen) => *self = Self { after: seen, not_before: None },
            None => *self = Self { after: String::new(), not_before: Some(Instant::now() + AGAIN_AFTER) },
        }
        Ok(self.not_before.is_none())
    }
}
