import sys

from script_modules import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import plan_large


def test_large_models_are_planned_by_their_shapes():
    found = {(row["model"], row["trained"], row["precision"], row["machine"][:4]): row for row in plan_large.rows()}
    assert len(found) == 18
    whole = found["XLM-R large", "all weights", "fp16", "T4"]
    assert whole["parts_gb"]["teacher"] == 3.35 and not whole["fits"] and whole["advice"]  # 6 bytes a weight
    assert found["XLM-R large", "LoRA", "fp16", "T4"]["fits"]
    assert found["BGE-M3", "all weights", "bf16", "A100"]["fits"]
    for row in found.values():
        assert row["spread_over_8_gb"] < row["memory_gb"] and 0 < row["seconds_a_step"] < 1
