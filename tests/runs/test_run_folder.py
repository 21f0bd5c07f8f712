from __future__ import annotations

import pytest

from hf_optical.errors import InputError
from hf_optical.runs.run_folder import prepare_output_dir
from hf_optical.training.checkpoints import last_whole_checkpoint


def test_the_same_options_go_on_and_others_are_named(tmp_path):
    prepare_output_dir(tmp_path / "out", {"seed": 0, "eval": ("a",)})
    prepare_output_dir(tmp_path / "out", {"seed": 0, "eval": ["a"]})
    with pytest.raises(InputError, match=r"other options: bitext \(was None, now b\); seed \(was 0, now 1\)"):
        prepare_output_dir(tmp_path / "out", {"seed": 1, "eval": ["a"], "bitext": "b"})


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(tmp_path):
    prepare_output_dir(tmp_path, {"seed": 0})
    for name in ("results.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "checkpoint-3").mkdir()
    with pytest.raises(InputError, match="finished run"):
        prepare_output_dir(tmp_path, {"seed": 0})
    prepare_output_dir(tmp_path, {"seed": 1}, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "run.json"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, overwrite):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "theirs.txt").write_text("x")
    with pytest.raises(InputError, match="no run of hf-optical train"):
        prepare_output_dir(tmp_path, {"seed": 0}, overwrite=overwrite)
    assert (tmp_path / "model" / "theirs.txt").exists()


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path):
    for step, state in ((5, "{}"), (10, "{}"), (100, None), (110, '{"global_step": 11')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert last_whole_checkpoint(tmp_path / "nowhere") is None


def test_other_code_is_named_and_can_be_allowed(tmp_path, caplog):
    prepare_output_dir(tmp_path / "out", {"versions": {"torch": "2.1", "peft": "0.18"}})
    with pytest.raises(InputError, match=r"versions.torch \(was 2.1, now 2.2\).*--resume_anyway"):
        prepare_output_dir(tmp_path / "out", {"versions": {"torch": "2.2", "peft": "0.18"}})
    prepare_output_dir(tmp_path / "out", {"versions": {"torch": "2.2", "peft": "0.18"}}, resume_anyway=True)
    assert "was 2.1, now 2.2" in caplog.text
    prepare_output_dir(
        tmp_path / "out", {"versions": {"torch": "2.2", "peft": "0.18"}}
    )  # what it goes on with is what counts now
