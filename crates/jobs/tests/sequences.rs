//! Whatever happens in whatever order: what must hold of a job's runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use nightjar_jobs::{
    Action, CatchUp, Cause, Closed, Event, Job, Overlap, Policy, RunId, Schedule, Skipped, Status,
};
use proptest::prelude::*;

/// What happens next, with how many seconds go by before.
#[derive(Clone, Debug)]
enum Step {
    Tick,
    /// The run that is this one of those open, counted around, ends.
    Ended(usize, bool),
    Interrupted(usize),
    Cancel(usize),
    Requested,
    Pause,
    Resume,
    /// The clock is put back so many seconds.
    Back(i64),
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        6 => Just(Step::Tick),
        4 => (0..9usize, any::<bool>()).prop_map(|(run, succeeded)| Step::Ended(run, succeeded)),
        1 => (0..9usize).prop_map(Step::Interrupted),
        1 => (0..9usize).prop_map(Step::Cancel),
        1 => Just(Step::Requested),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => (1..7_200i64).prop_map(Step::Back),
    ];
    // Mostly short times, sometimes an absence of hours.
    let elapsed = prop_oneof![8 => 0..90i64, 2 => 0..1_200i64, 1 => 0..40_000i64];
    prop::collection::vec((elapsed, step), 1..120)
}

fn policies() -> impl Strategy<Value = Policy> {
    let overlap = prop_oneof![Just(Overlap::Skip), Just(Overlap::Queue), Just(Overlap::Allow)];
    let catch_up = prop_oneof![Just(CatchUp::None), Just(CatchUp::Last), Just(CatchUp::All)];
    (0..4u32, overlap, catch_up, prop::option::of(1..400u64), prop::option::of(1..4u32)).prop_map(
        |(retries, overlap, catch_up, timeout, suspend_after_failures)| Policy {
            retries,
            overlap,
            catch_up,
            timeout: timeout.and_then(nightjar_jobs::Interval::of_seconds),
            suspend_after_failures,
            ..Policy::default()
        },
    )
}

fn schedules() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        (1..1_000u64)
            .prop_map(|seconds| Schedule::Every(nightjar_jobs::Interval::of_seconds(seconds).unwrap())),
        prop_oneof![Just("*/7 * * * *"), Just("30 2 * * *"), Just("5 1-3 * * *"), Just("0 * * * *")]
            .prop_map(|expression| Schedule::cron(expression, Some("Europe/Paris")).unwrap()),
    ]
}

/// The ledger that the actions write.
#[derive(Default)]
struct Ledger {
    /// The scheduled times that got a run.
    run_for: BTreeSet<DateTime<Utc>>,
    /// How many scheduled times were left out, and the last of them.
    skipped: usize,
    at_work: BTreeMap<RunId, u32>,
    opened: BTreeSet<RunId>,
    closed: BTreeMap<RunId, Closed>,
}

impl Ledger {
    fn write(&mut self, job: &Job, action: &Action) {
        match *action {
            Action::Skip { first, last, times, why } => {
                assert!(first <= last && times > 0);
                assert!(self.run_for.range(first..=last).next().is_none(), "left out and run: {action:?}");
                assert!(job.policy.catch_up != CatchUp::All || why != Skipped::Missed);
                assert!(job.policy.overlap == Overlap::Skip || why != Skipped::Overlap);
                self.skipped += times;
            }
            Action::Open { run, scheduled_at, cause } => {
                assert!(self.opened.insert(run), "two runs of one number");
                if cause != Cause::Request {
                    assert!(self.run_for.insert(scheduled_at), "{scheduled_at} has two runs");
                    assert!(cause == Cause::Schedule || job.policy.catch_up != CatchUp::None);
                }
            }
            Action::Start { run, attempt } => {
                assert!(self.opened.contains(&run) && !self.closed.contains_key(&run));
                assert!(self.at_work.insert(run, attempt).is_none(), "it is at work already");
                assert!(job.policy.overlap == Overlap::Allow || self.at_work.len() == 1, "two at once");
            }
            Action::Stop { run, .. } => assert!(self.at_work.contains_key(&run)),
            Action::Wait { run, .. } => {
                assert!(self.at_work.remove(&run).is_some(), "it was not at work");
            }
            Action::Close { run, closed } => {
                self.at_work.remove(&run);
                assert!(self.opened.contains(&run));
                assert_eq!(self.closed.insert(run, closed), None, "a run ends once");
            }
            Action::Suspend { failures } => {
                assert_eq!(Some(failures), job.policy.suspend_after_failures);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_must_hold_holds(schedule in schedules(), policy in policies(), steps in steps()) {
        let begin: DateTime<Utc> = "2026-03-28T20:00:00Z".parse().unwrap();
        let mut now = begin;
        let mut job = Job::new(schedule, policy, begin);
        let mut last_id = 0;
        let mut ledger = Ledger::default();
        for (elapsed, step) in steps {
            now += TimeDelta::seconds(elapsed);
            let open = |run: usize| job.open.get(run % job.open.len().max(1)).map_or(-1, |open| open.id);
            let event = match step {
                Step::Tick => Event::Tick,
                Step::Ended(run, succeeded) => Event::Ended { run: open(run), succeeded },
                Step::Interrupted(run) => Event::Interrupted { run: open(run) },
                Step::Cancel(run) => Event::Cancel { run: open(run) },
                Step::Requested => Event::Requested,
                Step::Pause => Event::Pause,
                Step::Resume => Event::Resume,
                Step::Back(seconds) => {
                    now -= TimeDelta::seconds(seconds);
                    Event::Tick
                }
            };
            let before = job.clone();
            for action in job.decide(event, now, &mut last_id) {
                ledger.write(&before, &action);
            }
            // Whatever waits to be decided now wakes the job now.
            while job.wakes_at().is_some_and(|at| at <= now) {
                let before = job.clone();
                let actions = job.decide(Event::Tick, now, &mut last_id);
                prop_assert!(!actions.is_empty(), "it wakes for nothing: {:?}", before);
                for action in actions {
                    ledger.write(&before, &action);
                }
            }
            // Each open run is in the ledger and none that is over is still open.
            let open: BTreeSet<RunId> = job.open.iter().map(|run| run.id).collect();
            let expected: BTreeSet<RunId> =
                ledger.opened.iter().filter(|run| !ledger.closed.contains_key(run)).copied().collect();
            prop_assert_eq!(open, expected);
        }
        // Every scheduled time up to the last decision has a run or was left out.
        if job.status == Status::Active {
            let times = job.schedule.times(begin, job.decided_until, usize::MAX).len();
            prop_assert_eq!(ledger.run_for.len() + ledger.skipped, times);
        }
    }
}
