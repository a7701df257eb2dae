#!/usr/bin/env bash
# croner 4.0.3 with chrono-tz 0.10.4, 2026-12-01.
#
# Europe/Paris sets its clocks forward at 02:00 on 2026-03-29 and back at 03:00 on 2026-10-25. A job at one fixed time (`30 2 * * *`) is moved out of the gap and
# fires once in the repeated hour. A list of fixed times (`30 2,14 * * *`) is treated as an interval: its 02:30 is left out in spring and comes twice in autumn.
#
# Seen: the output below.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cat > "$work/expected" <<'OUT'
30 2 * * *, spring: ["2026-03-29T03:00:00+02:00"]
30 2,14 * * *, spring: ["2026-03-29T14:30:00+02:00"]
30 2 * * *, autumn: ["2026-10-25T02:30:00+02:00"]
30 2,14 * * *, autumn: ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T14:30:00+01:00"]
OUT
mkdir -p "$work/try/src"
cat > "$work/try/Cargo.toml" <<'TOML'
[package]
name = "try"
version = "0.1.0"
edition = "2021"
[dependencies]
chrono = "0.4"
chrono-tz = "=0.10.4"
croner = { version = "=4.0.3", features = ["chrono"] }
TOML
cat > "$work/try/src/main.rs" <<'RUST'
use chrono::TimeZone;
use std::str::FromStr;

fn main() {
    let zone = chrono_tz::Europe::Paris;
    for (name, month, day) in [("spring", 3, 29), ("autumn", 10, 25)] {
        for pattern in ["30 2 * * *", "30 2,14 * * *"] {
            let cron = croner::Cron::from_str(pattern).unwrap();
            let mut at = zone.with_ymd_and_hms(2026, month, day, 0, 0, 0).unwrap();
            let end = zone.with_ymd_and_hms(2026, month, day + 1, 0, 0, 0).unwrap();
            let mut times = Vec::new();
            loop {
                at = cron.find_next_occurrence(&at, false).unwrap();
                if at >= end {
                    break;
                }
                times.push(at.to_rfc3339());
            }
            println!("{pattern}, {name}: {times:?}");
        }
    }
}
RUST
(cd "$work/try" && CARGO_TARGET_DIR="$work/target" cargo run --quiet) > "$work/seen"
diff "$work/expected" "$work/seen" && echo "as stated"
