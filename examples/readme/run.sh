#!/usr/bin/env bash
# Runs the README's tour as it stands there: every `sh` block, line by line, in an empty folder, on a store of its own.
# The base model is taken from the store of the environment, or pulled.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build
PATH="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug:$PATH"
root="$PWD"
work="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT

digest="$(nightjar sql --quiet --format csv -c "SELECT digest FROM nightjar.model_versions WHERE model = 'all-MiniLM-L6-v2' AND version = 1" | tail -n +2)"
weights="${NIGHTJAR_STORE:-/nowhere}/artifacts/$digest/"
export NIGHTJAR_STORE="$work/store"
if [ -n "$digest" ] && [ -d "$weights" ]; then
    nightjar model pull all-MiniLM-L6-v2 --from "$weights"
fi

# The tour names files of the repository, and writes files of its own.
mkdir "$work/here"
ln -s "$root/crates" "$work/here/crates"
cd "$work/here"

# A command that goes on in the background gets the time that a person needs to type the next one.
awk '/^```sh$/ { block = 1; next } /^```$/ { block = 0 } block { print } block && /&$/ { print "sleep 3" }' "$root/README.md" > tour.sh
grep -q 'CREATE JOB' tour.sh && grep -q -- '--cluster' tour.sh
set -x
source tour.sh
set +x

runs="$(nightjar sql --quiet --format csv -c "SELECT count(*) FROM nightjar.job_runs WHERE status = 'succeeded'" | tail -n 1)"
for _ in $(seq 60); do
    [ "$runs" = 1 ] && break
    sleep 1
    runs="$(nightjar sql --quiet --format csv -c "SELECT count(*) FROM nightjar.job_runs WHERE status = 'succeeded'" | tail -n 1)"
done
[ "$runs" = 1 ] || { nightjar sql -c "SHOW RUNS OF nightly"; exit 1; }
ls labels/*.parquet vectors/*.parquet labels.csv
echo "the tour of the README runs"
