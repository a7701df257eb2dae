#!/usr/bin/env bash
# What the inference cache saves: three nights over the same number of texts, each in a process of its own, in turn, round by round. In the
# first no text is known, in the second 95 of 100, in the third all; then the same rows are read without a model. Wall seconds, CPU seconds,
# and their share of the first night's. The sums over embeddings must be those that are computed without the cache, byte by byte.
#
#   benches/cache.sh TEXTS.parquet [COLUMN] [ROUNDS]
#
# NIGHTJAR is the binary (default: target/release/nightjar), NIGHTJAR_STORE a store with the base model. Its cache is cleared.
set -euo pipefail
texts="${1:?a Parquet file}" column="${2:-text}" rounds="${3:-3}"
nightjar="${NIGHTJAR:-$(dirname "$0")/../target/release/nightjar}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Each night lacks another 21st of the texts, so that one of twenty is new in the second.
"$nightjar" sql -q \
    -c "COPY (SELECT t, row_number() OVER (ORDER BY md5(t)) % 21 AS part FROM (SELECT DISTINCT $column AS t FROM '$texts' WHERE $column IS NOT NULL)) TO '$work/texts.parquet'" \
    -c "COPY (SELECT t FROM '$work/texts.parquet' WHERE part <> 0 ORDER BY t) TO '$work/first.parquet'" \
    -c "COPY (SELECT t FROM '$work/texts.parquet' WHERE part <> 1 ORDER BY t) TO '$work/second.parquet'" > /dev/null

run() { # NAME FILE CACHE [EXPRESSION]
    local expression="${4:-embed(t, 'all-MiniLM-L6-v2')[1]}"
    TIMEFORMAT='%R %U %S'
    { time "$nightjar" sql -q --format csv -c "SET nightjar.cache = '$3'" -c \
        "SELECT count(*) AS texts, min(v), max(v), sum(CAST(v * 1e9 AS BIGINT)) AS v FROM (SELECT $expression AS v FROM '$work/$2.parquet')" \
        > "$work/$1.csv" 2> "$work/$1.notes"; } 2>&1 | awk '{ print $1, $2 + $3 }'
}
tell() { # ROUND NAME SECONDS CPU OF_SECONDS OF_CPU
    awk "BEGIN { printf \"round %d: %-12s %7.2f s  %7.2f s CPU  %5.1f %%  %5.1f %% CPU\n\", $1, \"$2\", $3, $4, 100 * $3 / $5, 100 * $4 / $6 }"
}
run off-first first off > /dev/null
run off-second second off > /dev/null
for round in $(seq "$rounds"); do
    "$nightjar" sql -q -c "CLEAR CACHE"
    read -r wall cpu <<< "$(run cold first on)"
    tell "$round" "none known" "$wall" "$cpu" "$wall" "$cpu"
    read -r some some_cpu <<< "$(run some second on)"
    tell "$round" "95 % known" "$some" "$some_cpu" "$wall" "$cpu"
    read -r all all_cpu <<< "$(run all second on)"
    tell "$round" "all known" "$all" "$all_cpu" "$wall" "$cpu"
    read -r plain plain_cpu <<< "$(run plain second off "length(t)")"
    tell "$round" "reading" "$plain" "$plain_cpu" "$wall" "$cpu"
    cmp "$work/off-first.csv" "$work/cold.csv"
    cmp "$work/off-second.csv" "$work/some.csv"
    cmp "$work/off-second.csv" "$work/all.csv"
done
