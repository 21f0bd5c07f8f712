#!/bin/sh
# What a newcomer does first, with an installed distribution, in an empty folder:
#   sh .github/try_distribution.sh COMMAND    (such as venv/bin/hf-optical, or python -m hf_optical.commands.main)
# Trains on the sample without data, then on a TSV that is made of its generated pairs, and searches with BM25 beside.
set -eu
test -z "$(ls -A)" || { echo "this folder is not empty: run it in an empty one" >&2; exit 1; }
"$@" train --max_steps 20 --output_dir out
test -f out/report.html

sample=out/sample/seed-0
python3 - "$sample/bitext.swh_Latn.jsonl" > pairs.tsv <<'PYTHON'
import json, sys
print("en\tsw")
for line in open(sys.argv[1], encoding="utf-8").readlines()[:60]:
    pair = json.loads(line)
    print(pair["source"], pair["translation"], sep="\t")
PYTHON
"$@" train --teacher "$sample/teacher" --bitext pairs.tsv --language sw --max_steps 5 --output_dir own
test -f own/model/modules.json && test -f own/report.html

"$@" search --hybrid --teacher "$sample/teacher" --documents "$sample/eval/corpus.en.jsonl" \
    --encoders swh_Latn=own/model --language sw --query "Bibi aliuza paka mgonjwa wapi Jumanne?" --top_k 3 > found.txt
cat found.txt
grep -q "among the words" found.txt
