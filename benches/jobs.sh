#!/usr/bin/env bash
# What many jobs cost: the milliseconds to make one, the memory and the CPU of a daemon that has nothing to do, how long its passes take, and
# how long after its time a run begins, where a hundred are due in the same second.
#
#   benches/jobs.sh [JOBS] [DUE]
#
# NIGHTJAR is the binary (default: target/release/nightjar). It waits for the next full minute, and takes two to three. Beside the time of a job stands that
# of a `SELECT 1` in a script of the same kind, and of a write of 32 KiB that the disk has: a job is one of each at least.
set -euo pipefail
jobs="${1:-10000}" due="${2:-100}"
nightjar="${NIGHTJAR:-$(dirname "$0")/../target/release/nightjar}"
work="$(mktemp -d)"
daemon=
trap '[ -z "$daemon" ] || { kill "$daemon"; wait "$daemon" || true; }; rm -rf "$work"' EXIT
export NIGHTJAR_STORE="$work/store"
printf 'id,text\n1,a\n2,b\n' > "$work/rows.csv"

# FILE LINES: the milliseconds of each line of a script, by the clock and of the CPUs.
script() {
    local TIMEFORMAT='%R %U %S' took
    took="$({ time "$nightjar" sql -q -f "$1" > /dev/null 2> "$work/errors"; } 2>&1)" || { cat "$work/errors" >&2; exit 1; }
    awk -v lines="$2" '{ printf "%.2f ms each, %.2f ms of CPU\n", $1 * 1000 / lines, ($2 + $3) * 1000 / lines }' <<< "$took"
}
awk -v jobs="$jobs" -v due="$due" -v rows="$work/rows.csv" -v out="$work/out" 'BEGIN {
    for (i = 0; i < jobs; i++) {
        if (i % int(jobs / due) == 0) printf "CREATE JOB job_%05d SCHEDULE CRON \047* * * * *\047 AS SELECT count(*) FROM \047%s\047;\n", i, rows
        else printf "CREATE JOB job_%05d SCHEDULE CRON \0470 2 1 1 *\047 WITH (retries = 5, timeout = \0474 hours\047) AS COPY (SELECT id, text FROM \047%s\047) TO \047%s/%d/\047 STORED AS PARQUET;\n", i, rows, out, i
    }
}' > "$work/jobs.sql"
awk 'BEGIN { for (i = 0; i < 1000; i++) print "SELECT 1;" }' > "$work/nothing.sql"
echo "a SELECT 1:         $(script "$work/nothing.sql" 1000)"
awk 'BEGIN { for (i = 0; i < 32768; i++) printf "x" }' > "$work/block"
began="$(date +%s%N)"
for _ in $(seq 20); do dd if="$work/block" of="$work/synced" bs=32768 conv=fsync 2> /dev/null; done
echo "a synced write:     $(awk -v took=$(($(date +%s%N) - began)) 'BEGIN { printf "%.2f", took / 20 / 1e6 }') ms, with the start of a process"
echo "making $jobs jobs: $(script "$work/jobs.sql" "$jobs")"

"$nightjar" serve --http 127.0.0.1:0 --max-runs "$due" > "$work/address" 2> "$work/log" &
daemon=$!
until curl -fsS "$(cat "$work/address" 2> /dev/null)readyz" > /dev/null 2>&1; do sleep 0.05; done
sleep 5
# Between two minutes, when nothing is due.
while [ "$(date +%-S)" -gt 25 ] || [ "$(date +%-S)" -lt 8 ]; do sleep 1; done
ticks() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }
before="$(ticks)"
sleep 20
awk -v ticks=$(($(ticks) - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "idle:               %.2f %% of a CPU\n", ticks / hz / 20 * 100 }'
awk '/VmRSS/ { printf "memory:             %.0f MiB\n", $2 / 1024 }' "/proc/$daemon/status"
while [ "$(date +%-S)" -gt 20 ]; do sleep 1; done
sleep 15
"$nightjar" sql -q --format csv -c "
    SELECT count(*) AS runs, round(avg(decided), 1) AS decided_ms, round(max(decided), 1) AS at_most,
        round(avg(began), 1) AS statement_ms, round(max(began), 1) AS at_most_ms
    FROM (SELECT (CAST(r.started_at AS BIGINT) - CAST(r.scheduled_at AS BIGINT)) / 1000.0 AS decided,
        (CAST(s.started_at AS BIGINT) - CAST(r.scheduled_at AS BIGINT)) / 1000.0 AS began
        FROM nightjar.job_runs AS r JOIN nightjar.job_run_statements AS s ON s.run_id = r.run_id
        WHERE s.attempt = 1 AND s.position = 1 AND r.scheduled_at = (SELECT max(scheduled_at) FROM nightjar.job_runs))"
awk '/VmRSS/ { printf "memory, after runs: %.0f MiB\n", $2 / 1024 }' "/proc/$daemon/status"
began="$(date +%s%N)"
curl -fsS "$(cat "$work/address")metrics" > "$work/metrics"
echo "a scrape:           $((($(date +%s%N) - began) / 1000000)) ms"
grep '^nightjar_scheduler_pass_seconds' "$work/metrics"
