//! The coordinator's end of the wire: submitting a plan, waiting for it, fetching what it made, giving it up.

use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::client::BallistaClient;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, ExecuteQueryParams, GetJobMetricsParams, GetJobMetricsResult, GetJobStatusParams,
    KeyValuePair, PartitionLocation, execute_query_failure_result, execute_query_result, job_status,
};
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_endpoint};
use ballista_core::version::insert_version_header;
use datafusion::physical_plan::SendableRecordBatchStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::Address;
use crate::error::{ClusterError, Result};
use crate::executors::executors;
use crate::failure::TaskFailure;
use crate::job_progress::{JobProgress, has_rerun, job_progress};
use crate::settings::MAX_MESSAGE_BYTES;

/// How long a scheduler that went away may take to come back before the statement is given up.
const RECONNECT: Duration = Duration::from_secs(60);

/// How long a job may have no executor before the statement is given up.
const EXECUTOR_WAIT: Duration = Duration::from_secs(30);

/// How often a job is looked at: soon at first, so that a short one is not waited for, then less often.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(100);

/// How often a statement is begun anew because executors were lost in the middle of it.
const RERUNS: usize = 4;

/// How often whoever waits is told how far a job is.
const PROGRESS: Duration = Duration::from_millis(500);

/// How long a scheduler may not know a job that it took before it counts as another process than the one that took it.
const FORGOTTEN: Duration = Duration::from_secs(3);

/// A plan as it goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    /// The encoded physical plan.
    pub(crate) plan: Vec<u8>,
    /// The session's settings.
    pub(crate) settings: Vec<KeyValuePair>,
    /// The session's name: the scheduler keeps settings by it.
    pub(crate) session: String,
}

/// A job that is done.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) job: JobId,
    /// Where the last stage's partitions lie, in their order.
    pub(crate) partitions: Vec<PartitionLocation>,
}

/// A client of one scheduler. Cheap to clone; connects when it is asked something.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    scheduler: Address,
}

/// Why one attempt at a job ended early.
enum Attempt {
    /// The scheduler is gone, or another one is there now: the job is submitted again.
    Lost(String),
    /// An executor was lost in the middle of it, and its result would be wrong: the job is submitted again.
    Rerun,
    Failed(ClusterError),
}

impl Client {
    pub(crate) fn new(scheduler: Address) -> Self {
        Self { scheduler }
    }

    pub(crate) fn scheduler(&self) -> &Address {
        &self.scheduler
    }

    /// Runs a plan to its end. A scheduler that goes away meanwhile is waited for, and gets the plan again, and so does one that
    /// lost an executor in the middle of it: nothing of the first attempt has been read by then. `told` hears how far
    /// it is. Dropping the future cancels the job.
    pub(crate) async fn run(
        &self,
        submission: &Submission,
        told: &(dyn Fn(JobProgress) + Sync),
    ) -> Result<Finished> {
        let mut lost_since: Option<Instant> = None;
        let mut reruns = 0;
        loop {
            let began = Instant::now();
            match self.attempt(submission, told).await {
                Ok(finished) => return Ok(finished),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Rerun) if reruns < RERUNS => reruns += 1,
                Err(Attempt::Rerun) => {
                    return Err(ClusterError::ExecutorsLost {
                        scheduler: self.scheduler.clone(),
                        times: reruns + 1,
                    });
                }
                Err(Attempt::Lost(reason)) => {
                    // An attempt that ran for a while was a scheduler that had come back.
                    let since = match lost_since {
                        Some(since) if began.elapsed() < FORGOTTEN => since,
                        _ => Instant::now(),
                    };
                    lost_since = Some(since);
                    if since.elapsed() >= RECONNECT {
                        let scheduler = self.scheduler.clone();
                        return Err(ClusterError::SchedulerLost { scheduler, waited: RECONNECT, reason });
                    }
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        submission: &Submission,
        told: &(dyn Fn(JobProgress) + Sync),
    ) -> Result<Finished, Attempt> {
        let lost = |error: ClusterError| Attempt::Lost(error.to_string());
        let mut scheduler = self.connect().await.map_err(lost)?;
        let job = submit(&mut scheduler, submission).await.map_err(|status| self.refused(&status))??;
        let mut running = JobGuard { client: self.clone(), job: Some(job.clone()) };
        let outcome = self.wait(&mut scheduler, &job, told).await;
        // Cancelled where this future is dropped while it waits, or where the scheduler still has it.
        if !matches!(outcome, Err(Attempt::Rerun | Attempt::Failed(ClusterError::NoExecutors { .. }))) {
            running.job = None;
        }
        outcome.map(|partitions| Finished { job, partitions })
    }

    async fn wait(
        &self,
        scheduler: &mut SchedulerGrpcClient<Channel>,
        job: &JobId,
        told: &(dyn Fn(JobProgress) + Sync),
    ) -> Result<Vec<PartitionLocation>, Attempt> {
        let began = Instant::now();
        let mut pause = LOOK_FIRST;
        let mut idle_since: Option<Instant> = None;
        let (mut checked, mut looked) = (Instant::now(), Instant::now());
        loop {
            let asked = scheduler.get_job_status(GetJobStatusParams { job_id: job.to_string() }).await;
            let status = asked.map_err(|status| self.refused(&status))?.into_inner();
            match status.status.and_then(|status| status.status) {
                None if began.elapsed() > FORGOTTEN => {
                    return Err(Attempt::Lost("it does not know the job any more".to_owned()));
                }
                Some(job_status::Status::Failed(failed)) => {
                    return Err(Attempt::Failed(failure(&failed.error)));
                }
                Some(job_status::Status::Successful(done)) => {
                    self.check_no_rerun(job).await?;
                    return Ok(done.partition_location);
                }
                None | Some(job_status::Status::Queued(_) | job_status::Status::Running(_)) => {}
            }
            if looked.elapsed() > PROGRESS {
                looked = Instant::now();
                // Without an answer nobody is told.
                if let Ok(progress) = job_progress(&self.scheduler, job).await {
                    told(progress);
                }
                self.check_no_rerun(job).await?;
            }
            if checked.elapsed() > Duration::from_secs(5) {
                checked = Instant::now();
                self.someone_works(&mut idle_since).await?;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    async fn check_no_rerun(&self, job: &JobId) -> Result<(), Attempt> {
        match has_rerun(&self.scheduler, job).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Attempt::Rerun),
            // Not known is not good enough.
            Err(error) => Err(Attempt::Lost(error.to_string())),
        }
    }

    /// Gives up where there has been nobody to work for long.
    async fn someone_works(&self, idle_since: &mut Option<Instant>) -> Result<(), Attempt> {
        if !executors(&self.scheduler).await.is_ok_and(|executors| executors.is_empty()) {
            *idle_since = None;
            return Ok(());
        }
        let since = *idle_since.get_or_insert_with(Instant::now);
        if since.elapsed() < EXECUTOR_WAIT {
            return Ok(());
        }
        let scheduler = self.scheduler.clone();
        Err(Attempt::Failed(ClusterError::NoExecutors { scheduler, waited: EXECUTOR_WAIT }))
    }

    /// Returns the rows of one partition of a result.
    pub(crate) async fn fetch(
        &self,
        job: &JobId,
        location: PartitionLocation,
    ) -> Result<SendableRecordBatchStream> {
        let layout = location.layout();
        let missing = |what: &str| ClusterError::OtherServer {
            scheduler: self.scheduler.clone(),
            reason: format!("a result without its {what}"),
        };
        let executor = location.executor_meta.ok_or_else(|| missing("executor"))?;
        let partition = location.partition_id.ok_or_else(|| missing("partition"))?;
        let address = format!("{}:{}", executor.host, executor.port);
        let lost = |error: ballista_core::error::BallistaError| ClusterError::ResultLost {
            job: job.to_string(),
            executor: address.clone(),
            reason: error.to_string(),
        };
        let port = u16::try_from(executor.port).map_err(|_| missing("port"))?;
        let mut from = BallistaClient::try_new(
            &executor.host,
            port,
            MAX_MESSAGE_BYTES as usize,
            false,
            None,
            3,
            1_000,
            0,
            0,
        )
        .await
        .map_err(lost)?;
        let rows =
            from.fetch_partition(&executor.id, &partition.into(), location.file_id, layout, true).await;
        rows.map_err(lost)
    }

    /// Returns what each operator of each finished stage of a job has counted.
    pub(crate) async fn metrics(&self, job: &JobId) -> Result<GetJobMetricsResult> {
        let mut scheduler = self.connect().await?;
        let asked = scheduler.get_job_metrics(GetJobMetricsParams { job_id: job.to_string() }).await;
        let answered = asked.map_err(|status| ClusterError::OtherServer {
            scheduler: self.scheduler.clone(),
            reason: status.message().to_owned(),
        });
        Ok(answered?.into_inner())
    }

    async fn cancel(&self, job: &JobId) -> Result<()> {
        let mut scheduler = self.connect().await?;
        // A job that is over has nothing to cancel.
        let _ = scheduler.cancel_job(CancelJobParams { job_id: job.to_string() }).await;
        Ok(())
    }

    async fn connect(&self) -> Result<SchedulerGrpcClient<Channel>> {
        let none = |error: &dyn std::error::Error| ClusterError::NoScheduler {
            scheduler: self.scheduler.clone(),
            reason: innermost(error),
        };
        let settings = GrpcClientConfig { connect_timeout_seconds: 5, ..GrpcClientConfig::default() };
        let endpoint = create_grpc_client_endpoint(self.scheduler.url(), Some(&settings))
            .map_err(|error| none(&error))?;
        let channel = endpoint.connect().await.map_err(|error| none(&error))?;
        Ok(SchedulerGrpcClient::new(channel)
            .max_encoding_message_size(MAX_MESSAGE_BYTES as usize)
            .max_decoding_message_size(MAX_MESSAGE_BYTES as usize))
    }

    fn refused(&self, status: &Status) -> Attempt {
        match status.code() {
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown => {
                Attempt::Lost(status.message().to_owned())
            }
            _ => Attempt::Failed(ClusterError::OtherServer {
                scheduler: self.scheduler.clone(),
                reason: status.message().to_owned(),
            }),
        }
    }
}

async fn submit(
    scheduler: &mut SchedulerGrpcClient<Channel>,
    submission: &Submission,
) -> Result<Result<JobId, Attempt>, Status> {
    let mut request = Request::new(ExecuteQueryParams {
        query: Some(Query::PhysicalPlan(submission.plan.clone())),
        settings: submission.settings.clone(),
        session_id: submission.session.clone(),
        operation_id: submission.session.clone(),
    });
    insert_version_header(request.metadata_mut());
    let refused = |message: String| Ok(Err(Attempt::Failed(failure(&message))));
    match scheduler.execute_query(request).await?.into_inner().result {
        Some(execute_query_result::Result::Success(taken)) => Ok(Ok(taken.job_id.into())),
        Some(execute_query_result::Result::Failure(failure)) => match failure.failure {
            Some(execute_query_failure_result::Failure::PlanParsingFailure(message)) => refused(message),
            other => refused(format!("the scheduler refused the plan: {other:?}")),
        },
        None => refused("the scheduler said nothing about the plan".to_owned()),
    }
}

fn failure(report: &str) -> ClusterError {
    let TaskFailure { message, hint, gone } = TaskFailure::read(report);
    match gone {
        Some(file) => ClusterError::FileGone { message, hint, file },
        None => ClusterError::Failed { message, hint },
    }
}

/// Cancels a job that nobody waits for any more.
struct JobGuard {
    client: Client,
    job: Option<JobId>,
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        let client = self.client.clone();
        // On a thread and a runtime of its own: the statement's runtime may be ending.
        let cancelling = std::thread::Builder::new().name("cancel".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let _ = runtime.block_on(async {
                    tokio::time::timeout(Duration::from_secs(2), client.cancel(&job)).await
                });
            }
        });
        // Waited for, so that a process that ends has sent it: at most the two seconds above.
        let _ = cancelling.map(std::thread::JoinHandle::join);
    }
}

/// Returns what the innermost cause says: tonic's own words are "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
