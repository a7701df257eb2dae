//! Schedules at the odd hours of the year.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{DateTime, Utc};
use nightjar_jobs::{Schedule, ScheduleError};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first times of a schedule after a moment, in UTC.
fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let times = schedule.times(at(after), DateTime::<Utc>::MAX_UTC, count);
    times.iter().map(|time| time.format("%Y-%m-%dT%H:%MZ").to_string()).collect()
}

fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule::cron(expression, Some(zone)).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

#[test]
fn a_fixed_time_that_the_clock_leaves_out_runs_right_after_the_gap() {
    // Paris goes from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC.
    let half_past_two = cron("30 2 * * *", "Europe/Paris");
    let times = next(&half_past_two, "2026-03-28T00:00:00Z", 3);
    assert_eq!(times, ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"]);
    // A time outside of the gap stays where it is.
    let four = cron("0 4 * * *", "Europe/Paris");
    assert_eq!(next(&four, "2026-03-28T12:00:00Z", 2), ["2026-03-29T02:00Z", "2026-03-30T02:00Z"]);
}

#[test]
fn a_fixed_time_that_comes_twice_runs_once() {
    // Paris goes from 03:00 back to 02:00 on 2026-10-25, at 01:00 UTC.
    let half_past_two = cron("30 2 * * *", "Europe/Paris");
    let times = next(&half_past_two, "2026-10-24T12:00:00Z", 3);
    assert_eq!(times, ["2026-10-25T00:30Z", "2026-10-26T01:30Z", "2026-10-27T01:30Z"]);
}

#[test]
fn lists_and_ranges_of_fixed_times_are_fixed_times() {
    let spring = "2026-03-28T12:00:00Z";
    for (expression, expected) in [
        (
            "0 2,14 * * *",
            ["2026-03-28T13:00Z", "2026-03-29T01:00Z", "2026-03-29T12:00Z", "2026-03-30T00:00Z"],
        ),
        // Two times of the gap are one moment.
        (
            "0,30 2 * * *",
            ["2026-03-29T01:00Z", "2026-03-30T00:00Z", "2026-03-30T00:30Z", "2026-03-31T00:00Z"],
        ),
        (
            "15,45 2 * * SUN",
            ["2026-03-29T01:00Z", "2026-04-05T00:15Z", "2026-04-05T00:45Z", "2026-04-12T00:15Z"],
        ),
        (
            "30 2-3 * * *",
            ["2026-03-29T01:00Z", "2026-03-29T01:30Z", "2026-03-30T00:30Z", "2026-03-30T01:30Z"],
        ),
    ] {
        assert_eq!(next(&cron(expression, "Europe/Paris"), spring, 4), expected, "{expression}");
    }
    let autumn = "2026-10-24T22:00:00Z";
    for (expression, expected) in [
        ("0 2,14 * * *", ["2026-10-25T00:00Z", "2026-10-25T13:00Z", "2026-10-26T01:00Z"]),
        ("0,30 2 * * *", ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-26T01:00Z"]),
        // What has a step follows the clock.
        ("*/30 2 * * *", ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z"]),
    ] {
        assert_eq!(next(&cron(expression, "Europe/Paris"), autumn, 3), expected, "{expression}");
    }
    // Asked from within the hour that comes twice, in its second turn.
    let paris = cron("30 2,3 * * *", "Europe/Paris");
    assert_eq!(next(&paris, "2026-10-25T01:10:00Z", 2), ["2026-10-25T02:30Z", "2026-10-26T01:30Z"]);
    // Samoa left a whole day out.
    let apia = cron("0 9,10 * * *", "Pacific/Apia");
    let times = next(&apia, "2011-12-29T19:30:00Z", 3);
    assert_eq!(times, ["2011-12-29T20:00Z", "2011-12-30T10:00Z", "2011-12-30T19:00Z"]);
}

/// The clock of Vancouver is no longer put back since 2026: 08:00 is 15:00 UTC in winter too.
#[test]
fn zones_go_by_current_rules() {
    let times = next(&cron("0 8 * * *", "America/Vancouver"), "2026-12-01T00:00:00Z", 2);
    assert_eq!(times, ["2026-12-01T15:00Z", "2026-12-02T15:00Z"]);
    let times = next(&cron("0 */8 * * *", "America/Edmonton"), "2026-12-01T00:00:00Z", 2);
    assert_eq!(times, ["2026-12-01T06:00Z", "2026-12-01T14:00Z"]);
}

#[test]
fn every_hour_follows_the_clock() {
    let hourly = cron("0 * * * *", "Europe/Paris");
    // 25 hours in the day on which the clock is put back, 23 in the one on which it is put forward.
    let count = |from: &str, to: &str| hourly.times(at(from), at(to), 1_000).len();
    assert_eq!(count("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), 25);
    assert_eq!(count("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), 23);
}

#[test]
fn half_hour_zones_and_shifts_are_right() {
    assert_eq!(next(&cron("0 9 * * *", "Asia/Kolkata"), "2026-01-01T00:00:00Z", 1), ["2026-01-01T03:30Z"]);
    // Lord Howe puts its clock by half an hour: from 02:00 to 02:30 on 2026-10-04, at 15:30 UTC of the day before.
    let times = next(&cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-02T16:00:00Z", 2);
    assert_eq!(times, ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]);
}

#[test]
fn days_that_not_every_month_has() {
    let last = cron("0 0 31 * *", "UTC");
    let times = next(&last, "2026-01-01T00:00:00Z", 4);
    assert_eq!(times, ["2026-01-31T00:00Z", "2026-03-31T00:00Z", "2026-05-31T00:00Z", "2026-07-31T00:00Z"]);
    let leap = cron("0 12 29 2 *", "UTC");
    assert_eq!(next(&leap, "2026-01-01T00:00:00Z", 2), ["2028-02-29T12:00Z", "2032-02-29T12:00Z"]);
    let end = cron("0 0 L * *", "UTC");
    let times = next(&end, "2026-01-31T12:00:00Z", 2);
    assert_eq!(times, ["2026-02-28T00:00Z", "2026-03-31T00:00Z"]);
}

#[test]
fn names_ranges_steps_and_nicknames() {
    for (expression, first) in [
        ("*/20 * * * *", "2026-11-22T12:20Z"),
        ("0 8-17/3 * * MON-FRI", "2026-11-23T08:00Z"),
        ("0 0 1 jan,jul *", "2027-01-01T00:00Z"),
        ("15,45 * * * *", "2026-11-22T12:15Z"),
        ("@daily", "2026-11-23T00:00Z"),
        ("@hourly", "2026-11-22T13:00Z"),
        ("0 0 * * 7", "2026-11-29T00:00Z"),
        ("@midnight", "2026-11-23T00:00Z"),
        ("@Weekly", "2026-11-29T00:00Z"),
        ("0 0 * * MONDAY", "2026-11-23T00:00Z"),
        ("0 0 * * tues,Thurs", "2026-11-24T00:00Z"),
        ("0 0 1 september *", "2027-09-01T00:00Z"),
        ("5/20 12 * * *", "2026-11-22T12:05Z"),
        // 2026-11-22 is a Sunday.
        ("0 0 * * 3-1", "2026-11-23T00:00Z"),
        ("0 0 * * THU-FRI", "2026-11-26T00:00Z"),
        ("0 22-2 * * *", "2026-11-22T22:00Z"),
        ("0 0 1 NOV-FEB ?", "2026-12-01T00:00Z"),
        ("0 0 ? * 5L", "2026-11-27T00:00Z"),
        ("0 0 ? * L5", "2026-11-27T00:00Z"),
        ("0 0 ? * FRIL", "2026-11-27T00:00Z"),
        ("0 0 * * 4#4", "2026-11-26T00:00Z"),
        ("0 0 * * MON#5", "2026-11-30T00:00Z"),
        ("0 0 L-3 * *", "2026-11-27T00:00Z"),
        ("0 0 LW 1 *", "2027-01-29T00:00Z"),
        ("0 0 L-1W 1 *", "2027-01-29T00:00Z"),
        ("0 0 1W 5 *", "2027-05-03T00:00Z"),
        ("0 0 31W 1 *", "2027-01-29T00:00Z"),
        ("0 0 13 * +FRI", "2027-08-13T00:00Z"),
        // A step is a restriction as any other: each odd day, and each Monday.
        ("0 0 */2 * MON", "2026-11-23T00:00Z"),
        ("0 0 */2 12 MON", "2026-12-01T00:00Z"),
        ("0 0 28 12 */6", "2026-12-05T00:00Z"),
        // The 13th, and every Friday.
        ("0 0 13 * FRI", "2026-11-27T00:00Z"),
    ] {
        assert_eq!(next(&cron(expression, "UTC"), "2026-11-22T12:00:00Z", 1), [first], "{expression}");
    }
}

#[test]
fn every_is_anchored_to_the_clock() {
    let quarter = Schedule::Every("15 minutes".parse().unwrap());
    let times = next(&quarter, "2026-11-22T12:07:31Z", 3);
    assert_eq!(times, ["2026-11-22T12:15Z", "2026-11-22T12:30Z", "2026-11-22T12:45Z"]);
    let day = Schedule::Every("1 day".parse().unwrap());
    assert_eq!(next(&day, "2026-11-22T00:00:00Z", 1), ["2026-11-23T00:00Z"]);
    assert_eq!(next(&quarter, "1969-12-31T23:50:00Z", 1), ["1970-01-01T00:00Z"]);
}

#[test]
fn what_is_no_schedule_says_what_would_be() {
    let refused = |expression: &str, zone: &str| {
        let error = Schedule::cron(expression, Some(zone)).unwrap_err();
        (error.to_string(), error.hint())
    };
    for (expression, wrong, right) in [
        ("", "0 fields", "five fields"),
        ("* * * *", "4 fields", "five fields"),
        ("every day", "2 fields", "five fields"),
        ("0 0 2 * * *", "6 fields", "EVERY INTERVAL"),
        ("@nightly", "@midnight", "five fields"),
        ("@reboot", "times", "RUN JOB"),
        ("61 * * * *", "minute '61' is out of range: expected 0 to 59", "*/20"),
        ("0 24 * * *", "hour '24' is out of range: expected 0 to 23", "22-2"),
        ("* * 0 * *", "day of month '0'", "L-3"),
        ("* * * 13 *", "month '13'", "NOV-FEB"),
        ("* * * FOO *", "month 'FOO' is not a number or a name", "JAN"),
        ("* * * * FOO", "weekday 'FOO'", "MON-FRI"),
        ("* * * * 8", "weekday '8'", "0 and 7 are Sunday"),
        ("* * * * MO", "weekday 'MO'", "MON"),
        ("*/0 * * * *", "minute '*/0' has a step", "*/20"),
        ("*/99 * * * *", "minute '*/99' has a step", "*/20"),
        ("5/ * * * *", "minute '5/' has a step", "5/20"),
        ("? * * * *", "minute '?'", "*/20"),
        ("H * * * *", "minute 'H'", "*/20"),
        ("-5 * * * *", "minute ''", "*/20"),
        ("1,,2 * * * *", "minute ''", "*/20"),
        ("0 0 L-31 * *", "day of month 'L-31'", "L-3"),
        ("0 0 L3 * *", "day of month 'L3'", "L-3"),
        ("0 0 1-5W * *", "day of month '1-5'", "15W"),
        ("0 0 * * L", "weekday 'L'", "5L"),
        ("0 0 * * 5#6", "weekday '5#6'", "5#2"),
        ("0 0 * * 1-5L", "weekday '1-5'", "5L"),
        ("\u{0}", "1 fields", "five fields"),
    ] {
        let (message, hint) = refused(expression, "UTC");
        assert!(
            message.contains("invalid cron expression") && message.contains(wrong) && hint.contains(right),
            "{expression}: {message}; {hint}"
        );
    }
    let (message, hint) = refused("0 0 30 2 *", "UTC");
    assert!(message.contains("never matches") && hint.contains("0 2 L * *"), "{message}");
    assert_eq!(refused("@daily", "europe/paris").1, "did you mean 'Europe/Paris'?");
    assert_eq!(refused("@daily", "new york").1, "did you mean 'America/New_York'?");
    assert!(refused("@daily", "Mars/Olympus").1.contains("'Europe/Paris'"));
    assert!(matches!(Schedule::cron("@daily", Some("")), Err(ScheduleError::Zone(_))));
}

#[test]
fn schedules_print_as_they_are_written() {
    assert_eq!(cron("0 2 * * *", "Europe/Paris").to_string(), "CRON '0 2 * * *' AT TIME ZONE 'Europe/Paris'");
    assert_eq!(cron(" @daily ", "UTC").to_string(), "CRON '@daily'");
    assert_eq!(
        Schedule::Every("90 minutes".parse().unwrap()).to_string(),
        "EVERY INTERVAL '1 hour 30 minutes'"
    );
    assert_eq!(Schedule::After("load".to_owned()).to_string(), "AFTER JOB load");
}

#[test]
fn a_schedule_that_begins_within_a_second_keeps_to_the_wall_clock() {
    let begun = at("2026-11-29T08:55:10.448359Z");
    let until = at("2026-11-29T08:55:13Z");
    let seconds = Schedule::Every("1 second".parse().unwrap());
    let times = seconds.times(begun, until, 10);
    assert_eq!(times, ["08:55:11", "08:55:12", "08:55:13"].map(|time| at(&format!("2026-11-29T{time}Z"))));
    assert!(cron("* * * * *", "UTC").times(begun, until, 10).is_empty());
}
