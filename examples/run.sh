#!/usr/bin/env bash
# Runs every example; the base model must be in the store (cargo run -- model pull all-MiniLM-L6-v2).
set -euo pipefail
cd "$(dirname "$0")/.."
cargo run -p nightjar-examples --example dataframe
cargo run -- sql -f examples/sql/pipeline.sql
bash examples/cluster/run.sh
bash examples/nightly/run.sh
bash examples/readme/run.sh
