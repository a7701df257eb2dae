#!/usr/bin/env bash
# A cluster on one machine: a scheduler, two executors, and the main job of the README on them. Stops all of it at the end.
# The base model must be in the store (nightjar model pull all-MiniLM-L6-v2).
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build
nightjar="${CARGO_TARGET_DIR:-target}/debug/nightjar"
work="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# Port 0 is a free one; the scheduler prints its address once it listens.
"$nightjar" scheduler --bind 127.0.0.1:0 > "$work/address" &
until [ -s "$work/address" ]; do sleep 0.1; done
NIGHTJAR_CLUSTER="$(cat "$work/address")"
export NIGHTJAR_CLUSTER
echo "a scheduler at $NIGHTJAR_CLUSTER"

for _ in 1 2; do
    "$nightjar" executor --scheduler "$NIGHTJAR_CLUSTER" --vcores 1 &
done

# The same commands as in one process: NIGHTJAR_CLUSTER tells where they run.
"$nightjar" sql -c "
    EXPLAIN SELECT product, classify(review, ['praise', 'complaint']) AS kind, count(*)
    FROM 'crates/cli/data/reviews.csv' GROUP BY 1, 2"
"$nightjar" sql -c "
    SELECT product, classify(review, ['praise', 'complaint']) AS kind, count(*) AS reviews
    FROM 'crates/cli/data/reviews.csv' GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 10"
"$nightjar" sql -c "
    COPY (SELECT id, product, embed(review) AS v FROM 'crates/cli/data/reviews.csv') TO '$work/vectors/' STORED AS PARQUET;
    SELECT count(*) AS reviews, count(DISTINCT product) AS products FROM '$work/vectors/'"
# Method chains of the Rust interface.
cargo run -p nightjar-examples --example dataframe
"$nightjar" demo
