#!/usr/bin/env bash
# datafusion (Python) 55.0.0, pyarrow 25.0.1, 2026-12-01.
#
# Parquet statistics leave NaN out. Where a column's minimum equals its maximum and no value is NULL, DataFusion takes the column for a constant and
# replaces it, so a column of 1.0, NaN, 1.0 is read as three times 1.0. Without statistics the values are read.
#
# Seen:
#   statistics on: ['1.0', '1.0', '1.0'] sum 3.0
#   statistics off: ['1.0', 'nan', '1.0'] sum nan
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datafusion==55.0.0 pyarrow==25.0.1
cat > "$work/expected" <<'OUT'
statistics on: ['1.0', '1.0', '1.0'] sum 3.0
statistics off: ['1.0', 'nan', '1.0'] sum nan
OUT
cat > "$work/run.py" <<'PY'
import math, os, sys
import pyarrow as pa, pyarrow.parquet as pq
from datafusion import SessionConfig, SessionContext

path = os.path.join(sys.argv[1], "f.parquet")
pq.write_table(pa.table({"k": [1, 2, 3], "f": [1.0, math.nan, 1.0]}), path)
for name, setting in (("on", "true"), ("off", "false")):
    context = SessionContext(SessionConfig().set("datafusion.execution.collect_statistics", setting))
    context.register_parquet("t", path)
    rows = context.sql("SELECT f FROM t ORDER BY k").collect()
    values = [str(value) for batch in rows for value in batch.column(0).to_pylist()]
    total = context.sql("SELECT sum(f) AS s FROM t").collect()[0].column(0)[0].as_py()
    print(f"statistics {name}: {values} sum {total}")
PY
"$work/venv/bin/python" "$work/run.py" "$work" > "$work/seen"
diff "$work/expected" "$work/seen" && echo "as stated"
