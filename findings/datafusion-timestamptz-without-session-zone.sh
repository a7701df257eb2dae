#!/usr/bin/env bash
# datafusion (Python) 55.0.0, 2026-12-01.
#
# Without a session time zone, a text with an offset that is cast to timestamptz loses the offset, and AT TIME ZONE takes what is left for the wall clock of the zone
# named: 20:00 in London becomes 20:00 in Tokyo, nine hours earlier. With the session's zone set to UTC the instant is kept.
#
# Seen:
#   no zone: 2026-12-01T11:00:00Z
#   UTC: 2026-12-01T20:00:00Z
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datafusion==55.0.0 pyarrow==25.0.1
cat > "$work/expected" <<'OUT'
no zone: 2026-12-01T11:00:00Z
UTC: 2026-12-01T20:00:00Z
OUT
cat > "$work/run.py" <<'PY'
import datetime
import pyarrow as pa
from datafusion import SessionConfig, SessionContext

for name, config in (("no zone", SessionConfig()), ("UTC", SessionConfig().set("datafusion.execution.time_zone", "UTC"))):
    rows = SessionContext(config).sql("SELECT '2026-12-01T20:00:00Z'::timestamptz AT TIME ZONE 'Asia/Tokyo' AS t").collect()
    seconds = rows[0].column(0).cast(pa.timestamp("s", "UTC"))[0].value
    print(f"{name}: {datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}")
PY
"$work/venv/bin/python" "$work/run.py" > "$work/seen"
diff "$work/expected" "$work/seen" && echo "as stated"
