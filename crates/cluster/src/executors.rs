//! Who works for a scheduler.

use std::time::{Duration, SystemTime};

use nightjar_engine::ExecutorState;
use serde::Deserialize;

use crate::error::Result;
use crate::{Address, rest};

#[derive(Deserialize)]
struct Answer {
    id: String,
    host: String,
    port: u16,
    /// Milliseconds since 1970.
    last_seen: Option<u64>,
    specification: Specification,
}

#[derive(Deserialize)]
struct Specification {
    vcores: u32,
}

/// Asks a scheduler for its executors, in the order of their addresses.
///
/// Errors: nobody answers within 10 s, or something that is no scheduler.
pub async fn executors(scheduler: &Address) -> Result<Vec<ExecutorState>> {
    let mut answers: Vec<Answer> = rest::get(scheduler, "/api/executors".to_owned()).await?;
    answers.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    Ok(answers.into_iter().map(state).collect())
}

fn state(answer: Answer) -> ExecutorState {
    ExecutorState {
        id: answer.id,
        address: Some(Address { host: answer.host, port: answer.port }.to_string()),
        vcores: answer.specification.vcores,
        last_heard: answer.last_seen.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at)),
    }
}
