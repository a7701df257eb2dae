//! Failures of object stores that others pass on as text.
//!
//! Some readers of files keep what a store's error says and lose the error, and with it whether another attempt may end well. So
//! the last few failures are remembered, and found again by their words.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::error::ObjectStoreError;

/// How many failures are remembered. What is passed on is passed on at once.
const REMEMBERED: usize = 64;

static TOLD: Mutex<VecDeque<(String, ObjectStoreError)>> = Mutex::new(VecDeque::new());

/// Remembers a failure.
pub(super) fn remember(failure: &ObjectStoreError) {
    let words = failure.to_string();
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.retain(|(known, _)| *known != words);
    if told.len() == REMEMBERED {
        told.pop_front();
    }
    told.push_back((words, failure.clone()));
}

/// Returns the failure of an object store in this process that a text repeats, if there is one.
pub fn object_store_failure(text: &str) -> Option<ObjectStoreError> {
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.iter().rev().find(|(words, _)| text.contains(words.as_str())).map(|(_, failure)| failure.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_found_by_its_words() {
        let failure = |number: usize| ObjectStoreError::Unreachable {
            place: format!("s3://told-{number}-bucket"),
            reason: "connection refused".to_owned(),
        };
        (0..2 * REMEMBERED).for_each(|number| remember(&failure(number)));
        remember(&failure(2 * REMEMBERED - 1));
        let last = failure(2 * REMEMBERED - 1).to_string();
        let found = object_store_failure(&format!("Parquet error: Object Store error: {last}")).unwrap();
        assert_eq!(found.to_string(), last);
        assert!(object_store_failure(&failure(0).to_string()).is_none(), "long ago");
        assert!(object_store_failure("Parquet error: eof").is_none());
        assert!(TOLD.lock().unwrap().len() <= REMEMBERED);
    }
}
