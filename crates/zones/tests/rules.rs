//! The rules that decide, from folders made here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use nightjar_zones::{ArrowZone, WallTime, ZoneError, ZoneRules, arrow_zone};

/// Returns a compiled zone file with a rule and no history.
fn zone_file(rule: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Version 2: an empty block of 32-bit data, then one of 64-bit data, each with one type of local time; then the rule.
    for _ in 0..2 {
        bytes.extend_from_slice(b"TZif2");
        bytes.extend_from_slice(&[0; 15]);
        for count in [0_u32, 0, 0, 0, 1, 4] {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(b"LMT\0");
    }
    bytes.extend_from_slice(format!("\n{rule}\n").as_bytes());
    bytes
}

fn folder(release: Option<(&str, &str)>, zones: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if let Some((file, text)) = release {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    for (zone, rule) in zones {
        let path = folder.path().join(zone);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, zone_file(rule)).unwrap();
    }
    folder
}

/// 2026-12-01 20:00 UTC.
const DECEMBER: i64 = 1_796_155_200;

#[test]
fn the_newer_release_decides() {
    let hours = |folder: &Path| {
        let rules = ZoneRules::choose(Some(folder));
        (rules.zone("America/Vancouver").unwrap().offset_seconds(DECEMBER) / 3_600, rules.to_string())
    };
    let zones = [("America/Vancouver", "XXX-3")];
    for (file, text, is_newer) in [
        ("tzdata.zi", "# version 2999a\n# This zic input file is in the public domain.\n", true),
        ("+VERSION", "2999b\n", true),
        ("version", "2999c", true),
        ("tzdata.zi", "# version 2025b\n", false),
        ("+VERSION", "2025b\n", false),
    ] {
        let folder = folder(Some((file, text)), &zones);
        let (hours, name) = hours(folder.path());
        assert_eq!(hours, if is_newer { 3 } else { -7 }, "{text}");
        let place = folder.path().display().to_string();
        assert_eq!(name.starts_with("2999") && name.contains(&place), is_newer, "{name}");
        assert_eq!(name.contains("built in"), !is_newer, "{name}");
    }
    // A folder that the user names and that names no release decides, and says what it is.
    let unknown = folder(None, &zones);
    let (hours, name) = hours(unknown.path());
    assert!(hours == 3 && name.starts_with("unknown ("), "{name}");
}

#[test]
fn releases_are_not_mixed() {
    let newer = folder(Some(("+VERSION", "2999a")), &[("Mars/Olympus", "MTC-1")]);
    let rules = ZoneRules::choose(Some(newer.path()));
    assert_eq!(rules.zone("Mars/Olympus").unwrap().offset_seconds(DECEMBER), 3_600);
    assert_eq!(rules.zone("UTC").unwrap().offset_seconds(DECEMBER), 0);
    let error = rules.zone("Europe/Paris").unwrap_err();
    assert!(matches!(error, ZoneError::OnlyElsewhere { .. }));
    assert!(error.to_string().contains("2999a") && error.to_string().contains("built in"), "{error}");
    let older = folder(Some(("+VERSION", "2020a")), &[("Mars/Olympus", "MTC-1")]);
    let rules = ZoneRules::choose(Some(older.path()));
    let error = rules.zone("Mars/Olympus").unwrap_err().to_string();
    assert!(error.contains("'Mars/Olympus'") && error.contains("2020a"), "{error}");
    assert!(rules.zone("Europe/Paris").is_ok());
}

#[test]
fn names_lead_to_zone_files_only() {
    let newer = folder(Some(("+VERSION", "2999a")), &[("A/B", "X0"), ("right/A", "X0")]);
    std::fs::write(newer.path().join("A/broken"), b"TZif").unwrap();
    let rules = ZoneRules::choose(Some(&newer.path().join("A/..")));
    for name in ["", "/", "A", "A/", "A/../A/B", "../x", "+VERSION", "right/A", "A/B\0", "/etc/localtime"] {
        assert!(matches!(rules.zone(name), Err(ZoneError::Unknown { .. })), "{name:?}");
    }
    assert!(matches!(rules.zone("A/broken"), Err(ZoneError::Unreadable { .. })));
    let paris = ZoneRules::choose(Some(&newer.path().join("none"))).zone("europe/paris").unwrap_err();
    assert_eq!(paris.hint(), "did you mean 'Europe/Paris'?");
}

#[test]
fn wall_clocks_go_both_ways() {
    let zones = folder(Some(("+VERSION", "2999a")), &[("X/Y", "CET-1CEST,M3.5.0,M10.5.0/3")]);
    let zone = ZoneRules::choose(Some(zones.path())).zone("X/Y").unwrap();
    // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC.
    let (spring, autumn) = (1_774_746_000, 1_792_890_000);
    assert_eq!(zone.next_change(spring - 1), Some(spring));
    assert_eq!(zone.next_change(spring), Some(autumn));
    assert_eq!(zone.wall_seconds(spring - 1), spring + 3_599);
    assert_eq!(zone.wall_seconds(spring), spring + 7_200);
    assert_eq!(zone.moments(spring + 3_599), WallTime::Once(spring - 1));
    for wall in [spring + 3_600, spring + 5_000, spring + 7_199] {
        assert_eq!(zone.moments(wall), WallTime::Never(spring));
    }
    assert_eq!(zone.moments(spring + 7_200), WallTime::Once(spring));
    assert_eq!(zone.moments(autumn + 3_600), WallTime::Twice(autumn - 3_600, autumn));
    assert_eq!(zone.moments(i64::MIN).first(), zone.moments(i64::MIN).first());
}

/// What this program carries is newer than what Arrow was built with.
#[test]
fn arrow_is_relied_on_where_it_agrees() {
    for name in ["UTC", "+05:30", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] {
        assert_eq!(arrow_zone(name), Ok(ArrowZone::Agrees), "{name}");
    }
    for name in ["America/Vancouver", "America/Edmonton"] {
        assert!(matches!(arrow_zone(name), Ok(ArrowZone::Differs(_))), "{name}");
    }
    assert!(matches!(arrow_zone("Mars/Olympus"), Err(ZoneError::Unknown { .. })));
}
