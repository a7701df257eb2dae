#!/usr/bin/env bash
# Two executors of one task each beside one process of two threads, in turn, on the same texts: the seconds of each, and their ratio round by
# round (above 1: the cluster is faster). The results must be the same, byte by byte.
#
#   benches/cluster.sh TEXTS.parquet [COLUMN] [ROUNDS]
#
# NIGHTJAR is the binary (default: target/release/nightjar), NIGHTJAR_STORE a store with the base model.
set -euo pipefail
texts="${1:?a Parquet file}" column="${2:-text}" rounds="${3:-3}"
nightjar="${NIGHTJAR:-$(dirname "$0")/../target/release/nightjar}"
work="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT

"$nightjar" scheduler --bind 127.0.0.1:0 > "$work/address" &
until [ -s "$work/address" ]; do sleep 0.1; done
for _ in 1 2; do "$nightjar" executor --scheduler "$(cat "$work/address")" --vcores 1 & done
sleep 2

# The label alone comes back: fetching it costs nothing beside making it.
query="SELECT label, count(*) AS texts, sum(length(t)) AS characters FROM (
    SELECT $column AS t, classify($column, ['praise', 'complaint', 'neither'], 'all-MiniLM-L6-v2') AS label FROM '$texts')
    GROUP BY label ORDER BY label"
run() { # NAME [OPTION…]
    local began ended name="$1"
    shift
    began="$(date +%s.%N)"
    "$nightjar" sql -q --format csv "$@" -c "$query" > "$work/$name.csv"
    ended="$(date +%s.%N)"
    awk "BEGIN { print $ended - $began }"
}
# Not measured: the executors load the weights.
run warm --cluster "$(cat "$work/address")" > "$work/warm"
for round in $(seq "$rounds"); do
    local="$(run local)"
    cluster="$(run cluster --cluster "$(cat "$work/address")")"
    cmp "$work/local.csv" "$work/cluster.csv"
    awk "BEGIN { printf \"round %d: one process %.2f s, cluster %.2f s, ratio %.3f\n\", $round, $local, $cluster, $local / $cluster }"
done
