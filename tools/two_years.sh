#!/usr/bin/env bash
# What two years of a wind farm cost a node: the command, the memory, the start after a kill.
#   tools/two_years.sh PROGRAM FILE.csv.gz
# PROGRAM is a built `twinpact`; FILE a recording of La Haute Borne (examples/wind has an excerpt).
set -euo pipefail
program=$(realpath "$1")
file=$(realpath "$2")
examples=$(realpath "$(dirname "$0")/../examples/wind")
work=$(mktemp -d)
# Refused rows are left beside the file: beside this name for it.
ln -s "$file" "$work/recording.csv.gz"
node=
trap '[ -z "$node" ] || kill -9 "$node" 2>/dev/null; rm -rf "$work"' EXIT

seconds() { date +%s.%N; }
since() { awk -v from="$1" -v to="$(seconds)" 'BEGIN { printf "%.2f", to - from }'; }
# Starts the node and waits until a command is answered by it.
serve() {
    "$program" serve --dir "$work/node" >"$work/log" 2>&1 &
    node=$!
    until [ -e "$work/node/admin.json" ]; do
        kill -0 "$node" || { cat "$work/log" >&2; exit 1; }
        sleep 0.02
    done
}
field() { awk -v name="$1:" '$1 == name { print int($2 / 1024) " MB" }' "/proc/$node/status"; }

"$program" init --dir "$work/node" --org did:web:operator.example --name Operator >/dev/null
serve
"$program" model apply "$examples/wind-turbine.toml" --dir "$work/node" >/dev/null
start=$(seconds)
"$program" ingest "$work/recording.csv.gz" --map "$examples/wind-turbine.map.toml" --dir "$work/node"
echo "ingest: $(since "$start") s; node: $(field VmRSS) resident, $(field VmHWM) at most"
kill -9 "$node"
wait "$node" 2>/dev/null || true
rm -f "$work/node/admin.json"
start=$(seconds)
serve
echo "ready after kill -9: $(since "$start") s; node: $(field VmRSS) resident, $(field VmHWM) at most"
