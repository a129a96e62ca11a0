#!/usr/bin/env bash
# nsmc and NEST on Brunel's network, interleaved: bash benches/compare.sh PYTHON [ROUNDS] [MS]. PYTHON has nest-simulator installed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:?the python that has NEST}; rounds=${2:-3}; ms=${3:-300}
for threads in 1 2; do
    for _ in $(seq "$rounds"); do
        target/release/nsmc run examples/brunel.nsm --threads "$threads" --for "$ms ms" --summary json --set C_E=1000 2>/dev/null \
            | "$python" -c 'import json,sys; s=json.load(sys.stdin); print("nsmc", s["threads"], s["build_s"], s["run_s"], s["populations"]["E"]["rate_hz"])'
        "$python" benches/nest_brunel.py "$threads" "$ms" 2>/dev/null | tail -1 \
            | "$python" -c 'import json,sys; s=json.load(sys.stdin); print("nest", sys.argv[1], s["build_s"], s["run_s"], s["rate_hz"])' "$threads"
    done
done | tee /dev/stderr | "$python" benches/medians.py
