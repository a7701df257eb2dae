//! What becomes of a run that fails, is late, or comes while another one runs.

use std::fmt;
use std::str::FromStr;

use crate::Interval;

/// The longest wait between two attempts, in seconds.
const LONGEST_RETRY_WAIT: u64 = 3_600;

/// What becomes of a run that fails, is late, or comes while another one runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often a run that failed is tried again.
    pub retries: u32,
    /// The wait before the first of these; each further one waits twice as long, an hour at most.
    pub retry_delay: Interval,
    /// How long an attempt may take before it is stopped and counts as failed; None for as long as it takes.
    pub timeout: Option<Interval>,
    /// What a scheduled time does while an earlier run is not over.
    pub overlap: Overlap,
    /// What becomes of scheduled times at which nobody was there to run them.
    pub catch_up: CatchUp,
    /// After how many failed runs in a row the job is suspended; None for never.
    pub suspend_after_failures: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retries: 2,
            retry_delay: Interval::of_seconds(60).unwrap_or_else(|| unreachable!("it is not zero")),
            timeout: None,
            overlap: Overlap::Skip,
            catch_up: CatchUp::Last,
            suspend_after_failures: None,
        }
    }
}

impl Policy {
    /// Returns how long to wait after the attempt of this number, from 1, has failed.
    pub(crate) fn wait_after(&self, attempt: u32) -> Interval {
        let doubled = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        let seconds = self.retry_delay.seconds().saturating_mul(doubled);
        // A delay that was asked for is never made shorter.
        let most = LONGEST_RETRY_WAIT.max(self.retry_delay.seconds());
        Interval::of_seconds(seconds.min(most)).unwrap_or(self.retry_delay)
    }
}

/// A word of an option, one of a few.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$note])* $variant),+ }

        impl $name {
            /// All the words.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text.to_ascii_lowercase().as_str() { $($word => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }
    };
}

words! {
    /// What a scheduled time does while an earlier run of the job is not over. A run that waits to be tried again is not over.
    Overlap {
        /// It is left out, and the ledger says so.
        Skip = "skip",
        /// It waits its turn.
        Queue = "queue",
        /// It runs beside the other.
        Allow = "allow",
    }
}

words! {
    /// What becomes of the times that were missed: the daemon was not there, or the clock was put forward.
    CatchUp {
        /// They are left out.
        None = "none",
        /// The last one is run, the others are left out.
        Last = "last",
        /// All are run, in their order.
        All = "all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let policy = Policy::default();
        let waits: Vec<u64> = (1..=9).map(|attempt| policy.wait_after(attempt).seconds()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
        assert_eq!(policy.wait_after(200).seconds(), 3_600);
        let patient = Policy { retry_delay: "2 hours".parse().unwrap(), ..policy };
        assert_eq!(patient.wait_after(3).seconds(), 7_200);
    }

    #[test]
    fn words_print_back() {
        for word in CatchUp::WORDS {
            assert_eq!(word.parse::<CatchUp>().unwrap().to_string(), *word);
        }
        assert_eq!("QUEUE".parse(), Ok(Overlap::Queue));
        assert_eq!("wait".parse::<Overlap>(), Err(()));
    }
}
