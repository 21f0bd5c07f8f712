#!/bin/sh
# Everything for a quarter of an hour on a rented GPU, from a packed folder, without a registry.
#
#   sh benchmarks/gpu_all.sh PACKED OUTPUT          on a GPU: under twelve minutes, results as they come
#   sh benchmarks/gpu_all.sh PACKED OUTPUT --dry    on a CPU: every part once, tiny, for correctness alone
#
# PACKED is what benchmarks/pack.py made. First the kernel, a step and a run (OUTPUT/gpu.json), then the comparison of
# PACKED/compare.yaml in the time that is left: cells in parallel, the most valuable first, each written as it ends, and
# a report over what was finished (OUTPUT/comparison). PYTHON names the interpreter, LIMIT the seconds in all (700).
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -lt 2 ]; then echo "usage: gpu_all.sh PACKED OUTPUT [--dry]" >&2; exit 2; fi
packed=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
python=${PYTHON:-python}
limit=${LIMIT:-700}
began=$(date +%s)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" TOKENIZERS_PARALLELISM=false
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1

left() { echo $((limit - $(date +%s) + began)); }
say() { echo "[$(($(date +%s) - began)) s] $*"; }

if [ "${3:-}" = "--dry" ]; then
    measure="--dry true --repeats 1"
    precision=false
    steps=2
else
    measure="--repeats 5"
    precision=true
    steps=
fi

say "packed folder: $(du -sk "$packed" | cut -f1) KiB"
"$python" "$here/benchmarks/pack.py" --folder "$packed" --into "$output/work"
say "unpacked"

# The larger half of the time belongs to the comparison.
say "kernel, step, run"
# shellcheck disable=SC2086
timeout --signal=TERM --kill-after=15 $((limit * 2 / 5)) \
    "$python" "$here/benchmarks/gpu.py" $measure --output "$output/gpu.json" || say "gpu.py ended with code $?"

cd "$output/work"
"$python" - "$precision" "$steps" <<'END'
import sys, yaml
config = yaml.safe_load(open("compare.yaml", encoding="utf-8"))
config["common"]["bf16"] = sys.argv[1] == "true"
if sys.argv[2]:
    config["common"] |= {"max_steps": int(sys.argv[2]), "batch_size": 4, "max_pairs": 40, "max_length": 16}
    config["seeds"], config["arms"] = config["seeds"][:1], dict(list(config["arms"].items())[:2])
yaml.safe_dump(config, open("run.yaml", "w", encoding="utf-8"), sort_keys=False)
END
say "comparison, with $(left) s left"
code=0
timeout --signal=TERM --kill-after=30 "$(left)" \
    "$python" "$here/recipes/compare.py" --config run.yaml --output_dir ../comparison --workers auto || code=$?
if [ "$code" -eq 124 ]; then
    say "time is up: reporting what is done"
    "$python" "$here/recipes/compare.py" --config run.yaml --output_dir ../comparison --report_only
elif [ "$code" -ne 0 ]; then
    say "the comparison ended with code $code"
    exit "$code"
fi
say "done: $output/gpu.json, $output/comparison/results.json"
