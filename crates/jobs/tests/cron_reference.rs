//! Cron expressions against a reference that looks at each minute.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use nightjar_jobs::Schedule;
use nightjar_zones::{Zone, rules};
use proptest::prelude::*;

/// One field: its text, and whether it has a value.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<u32>,
    is_open: bool,
}

/// Returns fields of values from `min` to `max`: `*`, steps, ranges that may wrap, lists.
fn field(min: u32, max: u32) -> impl Strategy<Value = Field> {
    let of = move |text: String, values: BTreeSet<u32>, is_open| Field { text, values, is_open };
    let from = move |from: u32, step: u32| (from..=max).step_by(step as usize).collect::<BTreeSet<u32>>();
    prop_oneof![
        2 => Just(of("*".to_owned(), from(min, 1), true)),
        1 => (1..=max).prop_map(move |step| of(format!("*/{step}"), from(min, step), false)),
        1 => (min..=max, 1..=max).prop_map(move |(first, step)| of(format!("{first}/{step}"), from(first, step), false)),
        2 => (min..=max, min..=max).prop_map(move |(first, last)| {
            let mut values = BTreeSet::from([first]);
            let mut value = first;
            while value != last {
                value = if value == max { min } else { value + 1 };
                values.insert(value);
            }
            of(format!("{first}-{last}"), values, false)
        }),
        3 => prop::collection::btree_set(min..=max, 1..4).prop_map(move |values| {
            let text = values.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            of(text, values, false)
        }),
    ]
}

/// The times of an expression from its definition, minute by minute.
fn reference(fields: &[Field; 5], zone: &Zone, from: i64, minutes: i64) -> Vec<i64> {
    let [minute, hour, month_day, month, week_day] = fields;
    let shows = |shown: i64| {
        let shown = DateTime::from_timestamp(shown, 0).unwrap();
        let (of_month, of_week) = (
            month_day.values.contains(&shown.day()),
            week_day.values.contains(&shown.weekday().num_days_from_sunday()),
        );
        let day = match (month_day.is_open, week_day.is_open) {
            (false, false) => of_month || of_week,
            _ => of_month && of_week,
        };
        day && minute.values.contains(&shown.minute())
            && hour.values.contains(&shown.hour())
            && month.values.contains(&shown.month())
    };
    let is_fixed = |field: &Field| !field.text.contains(['*', '/']);
    let is_fixed = is_fixed(minute) && is_fixed(hour);
    let mut times = Vec::new();
    // The wall clock has shown all times up to this one.
    let mut shown_until = (from - 7_200..=from).map(|moment| zone.wall_seconds(moment)).max().unwrap();
    for moment in (1..=minutes).map(|minute| from + minute * 60) {
        let now = zone.wall_seconds(moment);
        let runs = match is_fixed {
            false => shows(now),
            // Each minute that the clock has come to or jumped over, and none a second time.
            true => (shown_until / 60 + 1..=now / 60).any(|minute| shows(minute * 60)),
        };
        shown_until = shown_until.max(now);
        times.extend(runs.then_some(moment));
    }
    times
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Two days around a change of the clock, in zones that put it by an hour, by half an hour and by a day.
    #[test]
    fn each_minute_is_looked_at(
        fields in (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)),
        place in 0..7_usize,
    ) {
        let (zone, from) = [
            ("Europe/Paris", "2026-03-28T12:00:00Z"),
            ("Europe/Paris", "2026-10-24T12:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T04:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T04:00:00Z"),
            ("America/New_York", "2026-11-01T00:00:00Z"),
            ("Pacific/Apia", "2011-12-29T12:00:00Z"),
            ("America/Vancouver", "2026-11-01T00:00:00Z"),
        ][place];
        let fields: [Field; 5] = fields.into();
        let expression = fields.clone().map(|field| field.text).join(" ");
        let Ok(schedule) = Schedule::cron(&expression, Some(zone)) else { return Ok(()) };
        let from: DateTime<Utc> = from.parse().unwrap();
        let minutes = 2 * 24 * 60;
        let found = schedule.times(from, from + TimeDelta::minutes(minutes), 10_000);
        let found: Vec<i64> = found.iter().map(DateTime::timestamp).collect();
        let expected = reference(&fields, &rules().zone(zone).unwrap(), from.timestamp(), minutes);
        prop_assert_eq!(found, expected, "{} in {}", expression, zone);
    }
}
