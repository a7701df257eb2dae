#!/usr/bin/env bash
# What a refresh of a materialized view over 1,000 files costs where one is new, against the work on that one file alone: COPY of the same query
# over it. In turn, each round a new file of ROWS rows. Takes the nightjar to measure with; the base model must be in the store of the
# environment. Prints seconds of each round, then the ratio of the sums.
set -euo pipefail
nightjar="$(realpath "${1:?usage: benches/refresh.sh target/release/nightjar [ROUNDS] [ROWS]}")"
rounds="${2:-5}"
rows="${3:-1000}"
sample="$(cd "$(dirname "$0")/.." && pwd)/crates/cli/data/reviews.csv"
digest="$("$nightjar" sql --quiet --format csv -c "SELECT digest FROM nightjar.model_versions WHERE model = 'all-MiniLM-L6-v2' AND version = 1" | tail -n +2)"
weights="${NIGHTJAR_STORE:?names the store with the base model}/artifacts/$digest"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
export NIGHTJAR_STORE="$work/store"
sql() { "$nightjar" sql --quiet --format csv -c "$1"; }
"$nightjar" model pull all-MiniLM-L6-v2 --from "$weights" > /dev/null

# A text is distinct in each file: nothing is known from another one.
file() { echo "COPY (SELECT r.id, concat(r.review, ' $1-', n.value) AS review FROM '$sample' r, generate_series(1, 10) n ORDER BY n.value, r.id LIMIT $2) TO 'in/$1.parquet' STORED AS PARQUET;"; }
for number in $(seq 1000); do file "$number" 5; done > files.sql
"$nightjar" sql --quiet -f files.sql > made
query="SELECT id, classify(review, ['praise', 'complaint']) AS kind FROM"
sql "CREATE EXTERNAL TABLE reviews (id VARCHAR, review VARCHAR) STORED AS PARQUET LOCATION 'in/';
     CREATE MATERIALIZED VIEW kinds AS $query reviews" > made

seconds() { local begun; begun="$(date +%s.%N)"; "$@" > last; echo "$(date +%s.%N) - $begun" | bc; }
refreshed=0 alone=0
for round in $(seq "$rounds"); do
    sql "$(file "new-$round" "$rows")" > made
    one="$(seconds sql "COPY ($query 'in/new-$round.parquet') TO 'out/$round.parquet' STORED AS PARQUET")"
    all="$(seconds sql "REFRESH MATERIALIZED VIEW kinds")"
    grep -q "^incremental,.*,1,0," last || { echo "not the refresh of one file:"; cat last; exit 1; }
    echo "round $round: the file alone $one s, the refresh $all s"
    alone="$(echo "$alone + $one" | bc)" refreshed="$(echo "$refreshed + $all" | bc)"
done
echo "the refresh costs $(echo "scale=3; $refreshed / $alone" | bc) of the file's work"
