#!/usr/bin/env bash
# Nightly labels and weekly tuning in real time, but for the schedules: a night comes every 5 seconds, and a week is 15.
# The base model is taken from the store of the environment, or pulled.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build
nightjar="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug/nightjar"
sample="$PWD/crates/cli/data"
example="$PWD/examples/nightly"
work="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# A store of its own, so that nothing of this stays.
digest="$("$nightjar" sql --quiet --format csv -c "SELECT digest FROM nightjar.model_versions WHERE model = 'all-MiniLM-L6-v2' AND version = 1" | tail -n +2)"
weights="${NIGHTJAR_STORE:-/nowhere}/artifacts/$digest/"
export NIGHTJAR_STORE="$work/store"
if [ -n "$digest" ] && [ -d "$weights" ]; then
    "$nightjar" model pull all-MiniLM-L6-v2 --from "$weights"
else
    "$nightjar" model pull all-MiniLM-L6-v2
fi
cd "$work"

# arrive NUMBER [LABEL]: the files of a day, with its labels as they should be, or as something else.
arrive() {
    local day
    day="$(date -d "2026-03-23 + $1 days" +%F)"
    sed "s|{sample}|$sample|; s|{day}|$day|; s|{number}|$1|; s|{label}|${2:-label}|" "$example/arrive.sql" | "$nightjar" sql --quiet -f - > arrived
    echo "the files of $day have arrived"
}

sed "s|{sample}|$sample|g" "$example/golden.sql" | "$nightjar" sql --quiet -f - > arrived
arrive 0
"$nightjar" sql --quiet -f "$example/setup.sql"
"$nightjar" sql -c "SELECT name, schedule, next_run_at FROM nightjar.jobs"
"$nightjar" sql --quiet -c "
    ALTER JOB nightly_labels SCHEDULE EVERY INTERVAL '5 seconds';
    ALTER JOB weekly_tuning SCHEDULE EVERY INTERVAL '15 seconds'"

"$nightjar" serve --http 127.0.0.1:0 > address &
until [ -s address ]; do sleep 0.1; done
echo "the status page is at $(cat address)"

for number in 1 2 3 4 5 6; do
    arrive "$number"
    sleep 5
done
# Somebody mixes the columns up: the labels of the last days are all wrong.
for number in 7 8 9 10 11 12 13; do
    arrive "$number" "CASE label WHEN 'negative' THEN 'positive' WHEN 'neutral' THEN 'negative' ELSE 'neutral' END"
done
sleep 20

"$nightjar" sql -c "PAUSE JOB weekly_tuning; PAUSE JOB nightly_labels"
"$nightjar" sql -c "
    SELECT run_id, job, scheduled_at, status, seconds FROM nightjar.job_runs ORDER BY run_id;
    SELECT day, count(*) AS reviews, count(*) FILTER (WHERE label = 'negative') AS negative FROM labelled GROUP BY day ORDER BY day;
    SELECT * FROM 'lake/report.csv' LIMIT 3;
    SHOW VERSIONS OF sentiment;
    SHOW VERSIONS OF challenger"
kill -TERM %1
wait %1
