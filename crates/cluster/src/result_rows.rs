//! The rows of a job that is done: they lie on the executors, which may end before they are fetched.

use ballista_core::serde::protobuf::PartitionLocation;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};

use crate::client::{Client, Finished, Submission};
use crate::error::ClusterError;
use crate::job_progress::JobProgress;

/// A result of so many bytes is fetched whole before its first row is handed on: until then the statement can be run again.
const FETCHED_WHOLE: i64 = 64 << 20;

/// How often a statement is run again because its result was gone before it was fetched.
const REFETCHES: usize = 4;

/// Runs a plan and returns the job with its rows, in the order of its partitions.
///
/// A result that can't be fetched is made again, as long as none of it has been handed on. `told` hears how far it is.
pub(crate) async fn run(
    client: &Client,
    submission: &Submission,
    told: &(dyn Fn(JobProgress) + Sync),
) -> Result<(Finished, SendableRecordBatchStream)> {
    let mut tries = 0;
    loop {
        let finished = client.run(submission, told).await?;
        match rows(client, &finished).await {
            Ok(rows) => return Ok((finished, rows)),
            Err(ClusterError::ResultLost { .. }) if tries < REFETCHES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn rows(client: &Client, finished: &Finished) -> Result<SendableRecordBatchStream, ClusterError> {
    let fetch = |location: &PartitionLocation| client.fetch(&finished.job, location.clone());
    let mut partitions = finished.partitions.iter();
    let Some(first) = partitions.next() else {
        let (scheduler, reason) = (client.scheduler().clone(), "a result without partitions".to_owned());
        return Err(ClusterError::OtherServer { scheduler, reason });
    };
    let first = fetch(first).await?;
    let schema = first.schema();
    if finished.partitions.iter().map(bytes).sum::<i64>() > FETCHED_WHOLE {
        let (client, job) = (client.clone(), finished.job.clone());
        let rest = stream::iter(finished.partitions[1..].to_vec()).then(move |location| {
            let (client, job) = (client.clone(), job.clone());
            async move { client.fetch(&job, location).await.map_err(DataFusionError::from) }
        });
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, first.chain(rest.try_flatten()))));
    }
    let lost = |error: DataFusionError| ClusterError::ResultLost {
        job: finished.job.to_string(),
        executor: "its executor".to_owned(),
        reason: error.to_string(),
    };
    let mut batches: Vec<_> = first.try_collect().await.map_err(lost)?;
    for location in partitions {
        batches.extend(fetch(location).await?.try_collect::<Vec<_>>().await.map_err(lost)?);
    }
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches.into_iter().map(Ok)))))
}

/// Returns the size of a partition's file; one that is not told counts as large.
fn bytes(location: &PartitionLocation) -> i64 {
    location.partition_stats.as_ref().map_or(FETCHED_WHOLE, |stats| stats.num_bytes)
}
