//! What a job does in each case: tables of what happens and what comes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{DateTime, TimeDelta, Utc};
use nightjar_jobs::{Action, CatchUp, Cause, Closed, Event, Job, Overlap, Policy, RunId, Schedule, Status};

/// A job that runs every ten minutes, and its clock in minutes.
struct Case {
    job: Job,
    last_id: RunId,
}

fn minute(minute: i64) -> DateTime<Utc> {
    "2026-11-22T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

impl Case {
    fn new(policy: Policy) -> Self {
        let schedule = Schedule::Every("10 minutes".parse().unwrap());
        Self { job: Job::new(schedule, policy, minute(0)), last_id: 0 }
    }

    /// What comes of an event at this minute, in words.
    fn at(&mut self, at: i64, event: Event) -> String {
        let actions = self.job.decide(event, minute(at), &mut self.last_id);
        actions.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    fn tick(&mut self, at: i64) -> String {
        self.at(at, Event::Tick)
    }
}

fn words(action: &Action) -> String {
    let minutes = |time: &DateTime<Utc>| (*time - minute(0)).num_minutes();
    match action {
        Action::Skip { first, times: 1, why, .. } => format!("skip {} {why:?}", minutes(first)),
        Action::Skip { first, last, times, why } => {
            format!("skip {times} times {}-{} {why:?}", minutes(first), minutes(last))
        }
        Action::Open { run, scheduled_at, cause } => {
            format!("open {run} for {} {cause:?}", minutes(scheduled_at))
        }
        Action::Start { run, attempt } => format!("start {run}.{attempt}"),
        Action::Stop { run, reason } => format!("stop {run} {reason:?}"),
        Action::Wait { run, until } => format!("wait {run} until {}", minutes(until)),
        Action::Close { run, closed } => format!("close {run} {closed:?}"),
        Action::Suspend { failures } => format!("suspend {failures}"),
    }
}

const DONE: fn(RunId) -> Event = |run| Event::Ended { run, succeeded: true };
const FAIL: fn(RunId) -> Event = |run| Event::Ended { run, succeeded: false };

fn policy(overlap: Overlap, catch_up: CatchUp) -> Policy {
    Policy { overlap, catch_up, ..Policy::default() }
}

#[test]
fn a_time_comes_once() {
    let mut case = Case::new(Policy::default());
    assert_eq!(case.job.wakes_at(), Some(minute(10)));
    assert_eq!(case.tick(9), "");
    assert_eq!(case.tick(10), "open 1 for 10 Schedule, start 1.1");
    assert_eq!(case.tick(10), "");
    assert_eq!(case.at(12, DONE(1)), "close 1 Succeeded");
    assert_eq!(case.at(12, DONE(1)), "");
    assert_eq!(case.job.wakes_at(), Some(minute(20)));
    // The clock is put back by an hour, and reaches the same minute again.
    assert_eq!(case.tick(-50), "");
    assert_eq!(case.tick(10), "");
    assert_eq!(case.tick(20), "open 2 for 20 Schedule, start 2.1");
}

#[test]
fn a_clock_that_was_far_ahead_does_not_silence_a_job() {
    let year = 365 * 24 * 60;
    let mut case = Case::new(policy(Overlap::Skip, CatchUp::None));
    while case.tick(year + 5).contains("times") {}
    assert_eq!(case.tick(5), "");
    assert_eq!(case.tick(10), "open 1 for 10 Schedule, start 1.1");
}

/// A zone gets other rules: the same job, decided until a moment, with a schedule that means other moments from then on.
#[test]
fn a_zone_with_new_rules_loses_no_day_and_repeats_no_moment() {
    let daily = |zone: &str| Schedule::cron("0 2 * * *", Some(zone)).unwrap();
    let of = |zone: &str| Case { job: Job::new(daily(zone), Policy::default(), minute(0)), last_id: 0 };
    let hours = |hours: i64| hours * 60;
    // From an hour before UTC to three: two in the morning comes two hours earlier, from the next day on.
    let mut case = of("Etc/GMT-1");
    assert_eq!(case.tick(hours(1)), "open 1 for 60 Schedule, start 1.1");
    case.at(hours(1), DONE(1));
    case.job.schedule = daily("Etc/GMT-3");
    assert_eq!(case.job.wakes_at(), Some(minute(hours(23))));
    // A daemon that first looks at the hour that the old rules gave has missed it, and catches up.
    assert_eq!(case.tick(hours(25)), "open 2 for 1380 CatchUp, start 2.1");
    assert_eq!(case.at(hours(25), DONE(2)), "close 2 Succeeded");
    assert_eq!(case.tick(hours(47)), "open 3 for 2820 Schedule, start 3.1");
    // And the other way: a moment that was decided stays so, and the next one comes two hours later.
    let mut case = of("Etc/GMT-3");
    case.tick(hours(23));
    case.at(hours(23), DONE(1));
    case.job.schedule = daily("Etc/GMT-1");
    assert_eq!(case.tick(hours(24)), "");
    assert_eq!(case.tick(hours(25)), "open 2 for 1500 Schedule, start 2.1");
}

#[test]
fn what_overlaps_is_left_out_or_waits_or_runs_beside() {
    for (overlap, second, after) in [
        (Overlap::Skip, "skip 20 Overlap", "close 1 Succeeded"),
        (Overlap::Queue, "open 2 for 20 Schedule", "close 1 Succeeded, start 2.1"),
        (Overlap::Allow, "open 2 for 20 Schedule, start 2.1", "close 1 Succeeded"),
    ] {
        let mut case = Case::new(policy(overlap, CatchUp::Last));
        case.tick(10);
        assert_eq!(case.tick(20), second, "{overlap}");
        assert_eq!(case.at(25, DONE(1)), after, "{overlap}");
    }
}

#[test]
fn missed_times_are_caught_up_as_the_policy_says() {
    for (catch_up, back) in [
        (CatchUp::None, "skip 3 times 10-30 Missed"),
        (CatchUp::Last, "skip 2 times 10-20 Missed, open 1 for 30 CatchUp, start 1.1"),
        (CatchUp::All, "open 1 for 10 CatchUp, open 2 for 20 CatchUp, open 3 for 30 CatchUp, start 1.1"),
    ] {
        let mut case = Case::new(policy(Overlap::Skip, catch_up));
        assert_eq!(case.tick(35), back, "{catch_up}");
    }
    // One that is a minute late is on time; it is the last, so the missed ones are not owed.
    let mut case = Case::new(policy(Overlap::Skip, CatchUp::Last));
    assert_eq!(case.tick(31), "skip 2 times 10-20 Missed, open 1 for 30 Schedule, start 1.1");
    // What is caught up waits for the run that was cut off, and is not left out.
    let mut case = Case::new(policy(Overlap::Skip, CatchUp::Last));
    case.tick(10);
    let back = "skip 20 Missed, open 2 for 30 CatchUp, start 1.2";
    assert_eq!(case.at(35, Event::Interrupted { run: 1 }), format!("wait 1 until 35, {back}"));
    assert_eq!(case.at(36, DONE(1)), "close 1 Succeeded, start 2.1");
}

#[test]
fn a_long_absence_is_decided_in_slices() {
    let mut case = Case::new(policy(Overlap::Skip, CatchUp::Last));
    let month = 30 * 24 * 60;
    let mut times = 0;
    loop {
        let actions = case.job.decide(Event::Tick, minute(month + 5), &mut case.last_id);
        for action in &actions {
            match action {
                Action::Skip { times: more, .. } => times += more,
                Action::Open { scheduled_at, .. } => assert_eq!(*scheduled_at, minute(month)),
                _ => {}
            }
        }
        if case.job.wakes_at() > Some(minute(month + 5)) {
            break;
        }
    }
    assert_eq!((times, case.last_id), (30 * 24 * 6 - 1, 1));
}

#[test]
fn failures_are_tried_again_with_longer_waits() {
    let mut case = Case::new(Policy { suspend_after_failures: Some(2), ..Policy::default() });
    case.tick(10);
    assert_eq!(case.at(11, FAIL(1)), "wait 1 until 12");
    assert_eq!(case.tick(11), "");
    assert_eq!(case.tick(12), "start 1.2");
    assert_eq!(case.at(13, FAIL(1)), "wait 1 until 15");
    assert_eq!(case.tick(15), "start 1.3");
    assert_eq!(case.at(16, FAIL(1)), "close 1 Failed");
    assert_eq!(case.job.status, Status::Active);
    case.job.policy.retries = 0;
    case.tick(20);
    assert_eq!(case.at(21, FAIL(2)), "close 2 Failed, suspend 2");
    assert_eq!((case.tick(40).as_str(), case.job.wakes_at()), ("", None));
    assert_eq!(case.at(55, Event::Resume), "skip 3 times 30-50 Paused");
    assert_eq!(case.tick(60), "open 3 for 60 Schedule, start 3.1");
    case.at(61, DONE(3));
    assert_eq!(case.job.failures, 0);
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped() {
    let mut case =
        Case::new(Policy { timeout: Some("5 minutes".parse().unwrap()), retries: 1, ..Policy::default() });
    case.tick(10);
    assert_eq!(case.job.wakes_at(), Some(minute(15)));
    assert_eq!(case.tick(15), "stop 1 Timeout");
    assert_eq!(case.tick(16), "");
    assert_eq!(case.at(16, FAIL(1)), "wait 1 until 17");
    assert_eq!(case.tick(17), "start 1.2");
    // It is done before it can be stopped: done is done.
    assert_eq!(case.tick(20), "skip 20 Overlap");
    assert_eq!(case.tick(22), "stop 1 Timeout");
    assert_eq!(case.at(22, DONE(1)), "close 1 Succeeded");
}

#[test]
fn an_interruption_costs_no_retry_but_not_for_ever() {
    let mut case = Case::new(Policy { retries: 0, ..Policy::default() });
    case.tick(10);
    for attempt in 2..=6 {
        assert_eq!(case.at(11, Event::Interrupted { run: 1 }), format!("wait 1 until 11, start 1.{attempt}"));
    }
    assert_eq!(case.at(11, Event::Interrupted { run: 1 }), "close 1 Failed");
    let mut case = Case::new(Policy { retries: 1, ..Policy::default() });
    case.tick(10);
    case.at(11, Event::Interrupted { run: 1 });
    assert_eq!(case.at(11, FAIL(1)), "wait 1 until 12");
}

#[test]
fn runs_are_cancelled_wherever_they_are() {
    let cancel = |run| Event::Cancel { run };
    let mut case = Case::new(policy(Overlap::Queue, CatchUp::Last));
    case.tick(10);
    case.tick(20);
    assert_eq!(case.at(21, cancel(2)), "close 2 Cancelled");
    assert_eq!(case.at(21, cancel(1)), "stop 1 Cancelled");
    assert_eq!(case.at(22, FAIL(1)), "close 1 Cancelled");
    assert_eq!(case.at(22, cancel(1)), "");
    case.tick(30);
    case.at(31, FAIL(3));
    assert_eq!(case.at(31, cancel(3)), "close 3 Cancelled");
    assert_eq!(case.job.failures, 0);
}

#[test]
fn a_paused_job_runs_only_what_someone_asks_for() {
    let mut case = Case::new(policy(Overlap::Queue, CatchUp::All));
    case.tick(10);
    case.tick(20);
    assert_eq!(case.at(21, Event::Pause), "");
    assert_eq!(case.at(22, DONE(1)), "close 1 Succeeded");
    assert_eq!(case.tick(35), "");
    assert_eq!(case.at(36, Event::Requested), "open 3 for 36 Request, start 3.1");
    assert_eq!(case.at(37, DONE(3)), "close 3 Succeeded");
    assert_eq!(case.at(45, Event::Resume), "skip 2 times 30-40 Paused, start 2.1");
    assert_eq!(case.at(45, Event::Resume), "");
}

#[test]
fn a_job_after_another_follows_its_successes() {
    let schedule = Schedule::After("load".to_owned());
    let mut case = Case { job: Job::new(schedule, Policy::default(), minute(0)), last_id: 70 };
    let upstream = |closed| Event::Upstream { run: 7, scheduled_at: minute(10), closed };
    assert_eq!((case.job.wakes_at(), case.tick(1_000).as_str()), (None, ""));
    assert_eq!(case.at(12, upstream(Closed::Succeeded)), "open 71 for 10 After(7), start 71.1");
    assert_eq!(case.at(13, upstream(Closed::Succeeded)), "skip 10 Overlap");
    assert_eq!(case.at(14, upstream(Closed::Failed)), "skip 10 Upstream");
    case.at(15, Event::Pause);
    assert_eq!(case.at(16, upstream(Closed::Succeeded)), "skip 10 Paused");
    assert!(case.job.open.iter().all(|run| run.cause == Cause::After(7)));
}

#[test]
fn a_clock_that_is_put_back_keeps_nobody_waiting() {
    let mut case = Case::new(Policy { timeout: Some("5 minutes".parse().unwrap()), ..Policy::default() });
    case.tick(60);
    case.at(61, FAIL(1));
    // Half an hour back: the wait of a minute begins anew.
    assert_eq!(case.tick(30), "");
    assert_eq!(case.tick(31), "start 1.2");
    // Half an hour back again: the attempt is as old as it looks, five minutes later it is stopped.
    assert_eq!(case.tick(1), "");
    assert_eq!(case.tick(6), "stop 1 Timeout");
}

#[test]
fn reasons_to_leave_out_are_told_apart() {
    let mut case = Case::new(policy(Overlap::Skip, CatchUp::None));
    case.tick(10);
    assert_eq!(case.tick(41), "skip 2 times 20-30 Missed, skip 40 Overlap");
}
