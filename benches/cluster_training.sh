#!/usr/bin/env bash
# Fine-tuning with two shards: two executors of one task each beside one process of two threads, in turn: the seconds of each, and their ratio
# round by round (above 1: the cluster is faster). The weights must be the same, bit by bit.
#
#   benches/cluster_training.sh LABELLED.parquet [ROWS] [ROUNDS]
#
# LABELLED has the columns text and label. NIGHTJAR is the binary (default: target/release/nightjar), NIGHTJAR_STORE a store with the base model.
set -euo pipefail
labelled="${1:?a Parquet file}" rows="${2:-4000}" rounds="${3:-2}"
nightjar="${NIGHTJAR:-$(dirname "$0")/../target/release/nightjar}"
work="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT

"$nightjar" scheduler --bind 127.0.0.1:0 > "$work/address" &
until [ -s "$work/address" ]; do sleep 0.1; done
for _ in 1 2; do "$nightjar" executor --scheduler "$(cat "$work/address")" --vcores 1 & done
sleep 2

run() { # NAME [OPTION…]
    local began ended name="$1"
    shift
    began="$(date +%s.%N)"
    "$nightjar" sql -q --format csv "$@" -c "CREATE MODEL $name FINE_TUNE ON (SELECT text, label FROM '$labelled' ORDER BY text LIMIT $rows)
        WITH (epochs = 1, shards = 2, learning_rate = 5e-5)" > "$work/$name.csv"
    ended="$(date +%s.%N)"
    "$nightjar" sql -q --format csv -c "SELECT digest FROM nightjar.model_versions WHERE model = '$name'; DROP MODEL $name" > "$work/$name.digest"
    awk "BEGIN { print $ended - $began }"
}
for round in $(seq "$rounds"); do
    local="$(run bench_local)"
    cluster="$(run bench_cluster --cluster "$(cat "$work/address")")"
    cmp "$work/bench_local.digest" "$work/bench_cluster.digest"
    awk "BEGIN { printf \"round %d: one process %.2f s, cluster %.2f s, ratio %.3f\n\", $round, $local, $cluster, $local / $cluster }"
done
