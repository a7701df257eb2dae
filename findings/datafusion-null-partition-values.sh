#!/usr/bin/env bash
# datafusion (Python) 55.0.0, 2026-12-01.
#
# COPY … PARTITIONED BY writes a row whose partition value is NULL into the folder of another value: 0 for integers, 1970-01-01 for dates, the empty text
# for texts. Read back, the NULL has become that value, and is mixed with the rows that have it.
#
# Seen:
#   BIGINT: folders ['p=0', 'p=7'], read back [0, 0, 7]
#   DATE: folders ['p=1970-01-01', 'p=2026-12-01'], read back ['1970-01-01', '1970-01-01', '2026-12-01']
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datafusion==55.0.0 pyarrow==25.0.1
cat > "$work/expected" <<'OUT'
BIGINT: folders ['p=0', 'p=7'], read back [0, 0, 7]
DATE: folders ['p=1970-01-01', 'p=2026-12-01'], read back ['1970-01-01', '1970-01-01', '2026-12-01']
OUT
cat > "$work/run.py" <<'PY'
import os, sys
from datafusion import SessionContext

for kind, zero, other in (("BIGINT", "0", "7"), ("DATE", "'1970-01-01'", "'2026-12-01'")):
    folder = os.path.join(sys.argv[1], kind) + "/"
    context = SessionContext()
    rows = f"SELECT id, CAST(p AS {kind}) AS p FROM (VALUES (1, NULL), (2, {zero}), (3, {other})) AS t(id, p)"
    context.sql(f"COPY ({rows}) TO '{folder}' STORED AS PARQUET PARTITIONED BY (p)").collect()
    context.sql(f"CREATE EXTERNAL TABLE t (id BIGINT, p {kind}) STORED AS PARQUET PARTITIONED BY (p) LOCATION '{folder}'")
    found = context.sql("SELECT p FROM t ORDER BY p").collect()
    values = [value for batch in found for value in batch.column(0).to_pylist()]
    print(f"{kind}: folders {sorted(os.listdir(folder))}, read back {[v if isinstance(v, int) else str(v) for v in values]}")
PY
"$work/venv/bin/python" "$work/run.py" "$work" > "$work/seen"
diff "$work/expected" "$work/seen" && echo "as stated"
