"""Options of a run: what the help lists, one mapping for LoRA, and former names."""

from __future__ import annotations

import pytest

from hf_optical.commands.options.plan import PlanConfig
from hf_optical.configuration.fields import fields_of, help_text, listed_flags
from hf_optical.configuration.parsing import parse
from hf_optical.errors import InputError
from hf_optical.runs.options import LoraOptions, TrainConfig


def test_the_help_of_train_lists_few_flags():
    flags = {field.key.split(".")[0] for field in listed_flags(TrainConfig)}  # a mapping is one
    assert len(flags) <= 55
    shown = help_text(TrainConfig)
    assert shown.count("  --lora.KEY") == 1 and "--lora.rank" not in shown
    above, below = shown.split("Rarely set, as keys of the YAML file:")
    for field in fields_of(TrainConfig):
        if field.yaml_only:
            assert f"  {field.key}  " in below and f"--{field.key}" not in shown
    assert "--gpu" not in shown and "--memory_gb" in help_text(PlanConfig)
    assert all(f"\n{heading}:\n" in above for heading in TrainConfig.HEADINGS.values())


def test_a_key_of_the_yaml_file_is_read_there_and_as_a_flag(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("patience: 3\nlora: {rank: 8, targets: [key]}\n")
    found = parse(TrainConfig, ["--config", str(file), "--logging_steps", "7", "--lora.alpha", "4"])
    assert (found.patience, found.logging_steps) == (3, 7)
    assert found.lora == LoraOptions(rank=8, targets=["key"], alpha=4)
    assert found.lora.adapter_options() == {"r": 8, "use_rslora": False, "lora_alpha": 4, "target_modules": ["key"]}


def test_former_names_of_the_lora_options_are_read_with_a_note(tmp_path, capsys):
    argv = ["--lora_r", "8", "--lora_alpha=4", "--lora_init", "pissa", "--lora_targets", "query", "key", "--rslora"]
    expected = LoraOptions(rank=8, alpha=4, init="pissa", targets=["query", "key"], rslora=True)
    assert parse(TrainConfig, argv).lora == expected
    assert capsys.readouterr().err.count("is now called lora.") == 5
    file = tmp_path / "run.yaml"
    file.write_text("lora_r: 8\nlora_alpha: 4\nlora_init: pissa\nlora_targets: [query, key]\nrslora: true\n")
    assert parse(TrainConfig, ["--config", str(file)]).lora == expected


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--lora.rnk", "8"], "lora.rank"),
        (["--lora.rank", "many"], "expected int"),
    ],
)
def test_a_wrong_setting_of_lora_is_named(argv, words):
    with pytest.raises(InputError, match=words):
        parse(TrainConfig, argv)


@pytest.mark.parametrize(("options", "field"), [({"rank": 0}, "lora.rank"), ({"init": "random"}, "lora.init")])
def test_lora_settings_out_of_range_are_refused(options, field):
    with pytest.raises(InputError, match=field):
        LoraOptions(**options).check()


def test_planning_belongs_to_the_command_plan(capsys):
    assert parse(TrainConfig, ["--plan", "--gpu", "t4", "--memory_gb", "3"]).plan
    assert capsys.readouterr().err.count("belongs to the command hf-optical plan now") == 3
    assert parse(PlanConfig, ["--gpu", "t4", "--memory_gb", "3"]).memory_gb == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"adapter": "lora"}, "language adapters"),
        ({"objective": "ot+mse"}, "has no term 'rank'"),
    ],
)
def test_an_anchor_that_nothing_could_use_is_refused_before_anything_is_read(options, said):
    config = TrainConfig(teacher="a", bitext=["b"], language="sw", anchor=0.5, **options)
    with pytest.raises(InputError, match=f"'anchor'.*{said}"):
        config.check()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start_share": 1.0}, "give a share of 0 or more and below 1"),
        ({"start_share": -0.5}, "give a share of 0 or more and below 1"),
        ({"start_share": 0.5, "adapter": "lora"}, "beside an adapter.*leave it out"),
        ({"start_share": 0.5, "held_out": 0.0}, "hold pairs out"),
        ({"start_share": 0.5, "context_window": 3}, "beside training on questions.*leave it out"),
        ({"start_share": 0.5, "max_steps": 0}, "nothing is trained.*leave it out"),
    ],
)
def test_a_mean_with_the_untrained_student_that_cannot_be_made_is_refused(options, said):
    with pytest.raises(InputError, match=f"'start_share'.*{said}"):
        TrainConfig(teacher="a", bitext=["b"], language="sw", **options).check()
