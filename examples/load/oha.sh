#!/bin/sh
# Sends load with oha, for a bounded time, and checks that every event sent was accepted and delivered.
#
#   examples/load/oha.sh [URL [DURATION [CONNECTIONS [EVENTS]]]]
#
# URL          http://127.0.0.1:8080/load
# DURATION     30s
# CONNECTIONS  32
# EVENTS       in each request; 1 (a JSON object; above 1: an array)
#
# ADMIN_URL    http://127.0.0.1:8081; where it answers, its count of delivered events is compared with the events sent,
#              so nobody else should be sending. In the environment.
#
# Exit status: 0 every answer was 2xx and every event was delivered; 1 otherwise; 2 wrong arguments or no oha.
set -eu

url=${1:-http://127.0.0.1:8080/load}
duration=${2:-30s}
connections=${3:-32}
events=${4:-1}
admin=${ADMIN_URL:-http://127.0.0.1:8081}

for tool in oha curl python3; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed; oha: cargo install oha --locked" >&2; exit 2; }
done
case "$connections$events" in
    *[!0-9]*) echo "CONNECTIONS and EVENTS are whole numbers" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$events" >"$work/body" <<'PYTHON'
import json
import sys

event = {"message": "a line of a log as applications write them, " + "x" * 300, "level": "info",
         "logger": "app.orders", "user": {"id": 4711}, "duration_ms": 12.5}
count = int(sys.argv[1])
json.dump(event if count == 1 else [event] * count, sys.stdout)
PYTHON

delivered() {
    curl -sf --max-time 5 "$admin/metrics" | awk '/^headgate_events_delivered_total/ { sum += $NF } END { printf "%d\n", sum }'
}

before=$(curl -sf --max-time 5 "$admin/live" >/dev/null && delivered || echo unknown)

# Requests under way at the end are waited for: one that was cut off may have been accepted without being counted.
oha --no-tui --output-format json --wait-ongoing-requests-after-deadline \
    -z "$duration" -c "$connections" -t 60s \
    -m POST -T application/json -D "$work/body" "$url" >"$work/report.json"

python3 - "$work/report.json" "$events" >"$work/sent" <<'PYTHON'
import json
import sys

report = json.load(open(sys.argv[1], encoding="utf-8"))
statuses = {int(status): count for status, count in report["statusCodeDistribution"].items()}
errors = report["errorDistribution"]
good = sum(count for status, count in statuses.items() if 200 <= status < 300)
bad = {status: count for status, count in statuses.items() if not 200 <= status < 300}
print(good * int(sys.argv[2]))

latency = report["latencyPercentiles"]
print(f"requests answered 2xx: {good}, {report['summary']['requestsPerSec']:.0f} a second", file=sys.stderr)
print(f"latency: p50 {latency['p50'] * 1e3:.2f} ms, p99 {latency['p99'] * 1e3:.2f} ms", file=sys.stderr)
for what, count in [*bad.items(), *errors.items()]:
    print(f"not accepted: {what}: {count}", file=sys.stderr)
sys.exit(1 if bad or errors or not good else 0)
PYTHON
sent=$(cat "$work/sent")
echo "events sent: $sent"

if [ "$before" = unknown ]; then
    echo "nothing answers at $admin: the events delivered were not compared"
    exit 0
fi
arrived=0
for _ in $(seq 30); do
    arrived=$(($(delivered) - before))
    [ "$arrived" -lt "$sent" ] || break
    sleep 1
done
echo "events delivered: $arrived"
[ "$arrived" -eq "$sent" ] || { echo "the numbers differ" >&2; exit 1; }
