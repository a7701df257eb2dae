#!/usr/bin/env bash
# datafusion (Python) 55.0.0, 2026-12-01.
#
# With `newlines_in_values` on, a CSV file whose quoted values hold line ends can be scanned, and its columns can't be inferred once the file is
# larger than about 8 KiB: the piece that the inference looks at is cut inside a quoted value. The same file with declared columns is read whole.
#
# Seen:
#   100 rows, inferred: 100
#   150 rows, inferred: Encountered unequal lengths between records
#   150 rows, declared: 150
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datafusion==55.0.0 pyarrow==25.0.1
cat > "$work/expected" <<'OUT'
100 rows, inferred: 100
150 rows, inferred: Encountered unequal lengths between records
150 rows, declared: 150
OUT
cat > "$work/run.py" <<'PY'
import os, re, sys
from datafusion import SessionContext

options = "OPTIONS ('format.has_header' 'true', 'format.newlines_in_values' 'true')"

def count(rows, columns):
    path = os.path.join(sys.argv[1], f"reviews{rows}.csv")
    with open(path, "w") as file:
        file.write("id,review,n\n")
        for i in range(rows):
            file.write(f'{i},"first line {i}\nsecond line, {"x" * 40}",{i}\n')
    try:
        context = SessionContext()
        context.sql(f"CREATE EXTERNAL TABLE t {columns} STORED AS CSV LOCATION '{path}' {options}")
        return context.sql("SELECT count(*) AS n FROM t").collect()[0].column(0)[0].as_py()
    except Exception as error:
        found = re.search(r"Encountered unequal lengths between records", str(error))
        return found.group(0) if found else str(error)

print("100 rows, inferred:", count(100, ""))
print("150 rows, inferred:", count(150, ""))
print("150 rows, declared:", count(150, "(id BIGINT, review TEXT, n BIGINT)"))
PY
"$work/venv/bin/python" "$work/run.py" "$work" > "$work/seen"
diff "$work/expected" "$work/seen" && echo "as stated"
