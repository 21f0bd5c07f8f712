from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.configuration.parsing import help_text, option, parse, run
from hf_optical.errors import InputError


@dataclasses.dataclass
class Optimizer:
    lr: float = 1e-4
    betas: tuple[float, ...] = (0.9, 0.999)


@dataclasses.dataclass
class Options:
    """What a recipe takes.

    More words.
    """

    language: str = dataclasses.field(default="swh_Latn", metadata={"help": "The query language."})
    max_steps: int = 500
    ratio: float = 0.5
    fp16: bool = False
    warm: bool = True
    seed: Optional[int] = None  # noqa: UP045
    eval: list[str] = dataclasses.field(default_factory=list, metadata={"help": "Folders to evaluate on."})
    layers: list[int] | None = None
    objective: Literal["ot", "mse"] = "ot"
    output_dir: Path = Path("out")
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    anything: Any = None
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)

    def __post_init__(self):
        if self.max_steps < 0:
            raise ValueError(f"max_steps is {self.max_steps}, below zero")


@dataclasses.dataclass
class Needs:
    teacher: str
    bitext: list[str]
    seed: int = 0


def yaml_file(folder, text):
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults():
    assert parse(Options, []) == Options()


@pytest.mark.parametrize(
    ("argv", "field", "value"),
    [
        (["--language", "so"], "language", "so"),
        (["--max-steps=7"], "max_steps", 7),
        (["--max_steps", "1e3"], "max_steps", 1000),
        (["--ratio", "-1e-4"], "ratio", -1e-4),
        (["--ratio", "2"], "ratio", 2.0),
        (["--fp16"], "fp16", True),
        (["--fp16", "false"], "fp16", False),
        (["--warm", "no", "--fp16"], "warm", False),
        (["--seed", "3"], "seed", 3),
        (["--seed", "none"], "seed", None),
        (["--eval", "a", "--eval", "b"], "eval", ["a", "b"]),
        (["--eval", "a,b", "c d"], "eval", ["a", "b", "c", "d"]),
        (["--layers", "1,2", "3"], "layers", [1, 2, 3]),
        (["--layers", "none"], "layers", None),
        (["--objective", "mse"], "objective", "mse"),
        (["--output_dir", "here"], "output_dir", Path("here")),
        (["--weights", "sw=1,so=0.5"], "weights", {"sw": 1.0, "so": 0.5}),
        (["--optimizer.lr", "3e-5"], "optimizer", Optimizer(lr=3e-5)),
        (["--optimizer.betas", "0.8 0.9"], "optimizer", Optimizer(betas=(0.8, 0.9))),
    ],
)
def test_flags(argv, field, value):
    found = getattr(parse(Options, argv), field)
    assert found == value
    assert type(found) is type(value)


def test_yaml_first_and_flags_win(tmp_path):
    path = yaml_file(
        tmp_path,
        "language: so\nmax_steps: 10\nratio: 1e-4\neval: [a b, c]\nseed: null\nweights: {sw: 1}\n"
        "optimizer:\n  lr: 2e-5\n  betas: [0.5, 0.6]\nfp16: true\n",
    )
    found = parse(Options, ["--max_steps", "20", "--config", path, "--optimizer.lr", "1"])
    assert (found.language, found.max_steps, found.ratio, found.eval) == ("so", 20, 1e-4, ["a b", "c"])
    assert (found.weights, found.fp16) == ({"sw": 1.0}, True)
    assert found.optimizer == Optimizer(lr=1.0, betas=(0.5, 0.6))
    assert parse(Options, ["--config", path, "--eval", "z"]).eval == ["z"]


def test_a_list_in_yaml_may_be_one_text(tmp_path):
    assert parse(Options, ["--config", yaml_file(tmp_path, "eval: a, b")]).eval == ["a", "b"]


def test_an_empty_file_changes_nothing(tmp_path):
    assert parse(Options, ["--config", yaml_file(tmp_path, "# nothing\n")]) == Options()


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        (["--max_step", "3"], "unknown option --max_step. Remedy: did you mean --max_steps"),
        (["--langauge=so"], "did you mean --language"),
        (["--optimizer.rl", "1"], "did you mean --optimizer.lr"),
        (["--optimizer", "1"], "unknown option --optimizer"),
        (["--conf", "x"], "did you mean --config"),
        (["--frobnicate", "x"], "unknown option --frobnicate. Remedy: leave it out; --help lists the options"),
        (["stray"], "found 'stray' where a flag is expected"),
        (["-l", "so"], "found '-l' where a flag is expected"),
        (["--language"], "'--language': the flag has no value"),
        (["--language", "a", "b"], r"found 2 values \(a b\) where one is expected"),
        (["--language", "a", "--language", "b"], "the flag is given twice"),
        (["--max_steps", "many"], "'--max_steps': found 'many' .str., expected int"),
        (["--max_steps", "1.5"], "found '1.5' .str., expected int"),
        (["--max_steps", "inf"], "expected int"),
        (["--ratio", "nan"], "expected float"),
        (["--fp16", "maybe"], "found 'maybe' .str., expected bool"),
        (["--seed", "x"], "expected int or none"),
        (["--layers", "1,x"], "expected list of int or none"),
        (["--objective", "otx"], "found 'otx' .str., expected one of 'ot', 'mse'"),
        (["--weights", "sw"], "write key=value"),
        (["--max_steps", "-1"], "max_steps is -1, below zero"),
        (["--config", "missing.yaml"], "missing.yaml: no such file.*--config"),
        (["--config", "a.yaml", "--config", "b.yaml"], "found 2 configuration files"),
    ],
)
def test_bad_flags(argv, match):
    with pytest.raises(InputError, match=match):
        parse(Options, argv)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("max_step: 3", "unknown option 'max_step'. Remedy: did you mean max_steps"),
        ("optimizer: {rl: 1}", "unknown option 'optimizer.rl'. Remedy: did you mean optimizer.lr"),
        ("optimizer: 3", "field 'optimizer': found 3 where a mapping is expected"),
        ("language: no", r"field 'language': found False \(bool\), expected text. Remedy: put it in quotes"),
        ("language: {a: 1}", "expected text"),
        ("no: 1", "unknown option 'False'"),
        ("max_steps: true", r"found True \(bool\), expected int"),
        ("max_steps: 1.5", "expected int"),
        ("max_steps: null", r"found None \(NoneType\), expected int"),
        ("eval: 3", "expected list of text"),
        ("eval: [1]", "found 1 .int., expected"),
        ("fp16: 1", "expected bool"),
        ("seed: 1\nseed: 2", "row 2: invalid YAML .*'seed' occurs twice"),
        ("- a", "found list, not a mapping"),
        ("a: [", "invalid YAML"),
        ("x: !!python/object/apply:os.getcwd []", "invalid YAML"),
    ],
)
def test_bad_yaml_names_the_file(tmp_path, text, match):
    path = yaml_file(tmp_path, text)
    with pytest.raises(InputError, match=match) as caught:
        parse(Options, ["--config", path])
    assert str(caught.value.path) == path


def test_required_fields_are_named_together():
    with pytest.raises(InputError, match=r"no value for teacher, bitext.*--teacher and --bitext"):
        parse(Needs, [])
    assert parse(Needs, ["--teacher", "t", "--bitext", "b"]) == Needs("t", ["b"])


def test_help_prints_every_field(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(Options, ["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text == help_text(Options)
    assert text.startswith("What a recipe takes.\n")
    for key in ("config", "language", "optimizer.lr", "optimizer.betas", "weights"):
        assert f"--{key}" in text
    assert "--language  text  (default: 'swh_Latn')\n      The query language.\n" in text
    assert "--seed  int or none  (default: None)" in text
    assert "--teacher  text  (required)" in help_text(Needs)


def test_a_field_named_config_is_not_told_twice():
    from hf_optical.runs.options import TrainConfig

    assert help_text(TrainConfig).count("--config ") == 1


def test_run_turns_errors_into_exit_codes(capsys):
    def fail(options):
        raise InputError("it is bad", "do better")

    def interrupt(options):
        raise KeyboardInterrupt

    def defect(options):
        raise ZeroDivisionError

    def code(main, argv=()):
        with pytest.raises(SystemExit) as caught:
            run(main, Options, list(argv))
        return caught.value.code

    assert code(lambda options: None) == 0
    assert code(lambda options: 1) == 1
    assert code(fail) == 2
    assert capsys.readouterr().err == "error: it is bad. Remedy: do better.\n"
    assert code(lambda options: None, ["--nothing", "1"]) == 2
    assert code(interrupt) == 130
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        run(defect, Options, [])


@given(st.floats(allow_nan=False), st.integers(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_plain_values_come_back(ratio, seed, fp16):
    found = parse(Options, [f"--ratio={ratio}", "--seed", str(seed), "--fp16", str(fp16)])
    assert (found.ratio, found.seed, found.fp16) == (ratio, seed, fp16)


@dataclasses.dataclass
class Renamed:
    gpu: str | None = option(None, "Machine.", former={"on": None})
    monitor: str = option("warn", "Alarms.", former={"on_alarm": None, "watch": {"false": "off", "true": "warn"}})


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--on", "t4"], Renamed(gpu="t4")),
        (["--on_alarm=stop"], Renamed(monitor="stop")),
        (["--watch", "False"], Renamed(monitor="off")),
        (["--gpu", "t4", "--watch=true"], Renamed(gpu="t4")),
    ],
)
def test_former_names_of_options_are_read_with_a_note(argv, expected, capsys):
    assert parse(Renamed, argv) == expected
    assert "is now called" in capsys.readouterr().err


def test_former_names_in_a_file(tmp_path, capsys):
    file = tmp_path / "a.yaml"
    file.write_text("watch: false\non: t4\n".replace("on:", "'on':"))
    assert parse(Renamed, ["--config", str(file)]) == Renamed(gpu="t4", monitor="off")
    assert capsys.readouterr().err.count("is now called") == 2
    file.write_text("watch: false\nmonitor: stop\n")
    with pytest.raises(InputError, match="twice"):
        parse(Renamed, ["--config", str(file)])


def test_running_text_is_not_split_at_commas(tmp_path):
    @dataclasses.dataclass
    class Options:
        query: list[str] = option([], "Words.", words=True)  # noqa: RUF009
        names: list[str] = option([], "Names.")  # noqa: RUF009

    assert parse(Options, ["--query", "watu 1,500, mbwa"]).query == ["watu 1,500, mbwa"]
    assert parse(Options, ["--query", "watu", "1,500", "--names", "a,b"]) == Options(["watu", "1,500"], ["a", "b"])
    (tmp_path / "o.yaml").write_text('query: "watu 1,500, mbwa"\n')
    assert parse(Options, ["--config", str(tmp_path / "o.yaml")]).query == ["watu 1,500, mbwa"]
