"""Whatever a configuration holds, it parses to values of the right types or says what is wrong."""

from __future__ import annotations

import contextlib
import math
import tempfile
from pathlib import Path

import yaml
from fuzz_profiles import fuzz
from hypothesis import strategies as st

from hf_optical.configuration.parsing import parse
from hf_optical.data.languages import normalize
from hf_optical.errors import InputError
from hf_optical.losses.terms import TERMS, parse_objective
from hf_optical.runs.options import TrainConfig

KEYS = st.one_of(
    st.sampled_from([*TrainConfig.__dataclass_fields__]),
    st.sampled_from(["max_stepz", "", "7", "<<", "~"]),
    st.text(max_size=6),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.sampled_from(
        ["none", "1e-4", "-1", "0", "inf", "nan", "1_000", "0x1F", "yes", "swh_Latn", "ot+nce", "a,b", "k=v"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
YAML = st.text("abz019 :-[]{}&*!|>'\"#%@`\n\t,?=~.\\\0\ufeff\u0085", max_size=60)
WORDS = st.one_of(
    st.sampled_from([f"--{name}" for name in TrainConfig.__dataclass_fields__ if name != "config"]),
    st.sampled_from(["--", "-", "--seed=", "--eval=a,b", "--no-watch", "--learning-rate", "x=y", "\ud800"]),
    st.text(max_size=8),
    SCALARS.map(str),
)


def check(config) -> None:
    """What parsed has the types of its fields; what passed the check is in range."""
    assert isinstance(config.seed, int) and isinstance(config.measure_start, bool) and isinstance(config.student, str)
    assert isinstance(config.dropout, float) and not math.isnan(config.dropout)
    assert isinstance(config.bitext, list) and all(isinstance(item, str) for item in config.bitext)
    config.teacher, config.language = config.teacher or "t", config.language or "sw"
    config.bitext, config.eval = config.bitext or ["b"], config.eval or ["e"]
    with contextlib.suppress(InputError):
        config.check()
        assert config.batch_size > 0 and 0 < (config.learning_rate or 1) < math.inf and (config.max_steps or 0) >= 0


@fuzz(5, content=st.dictionaries(KEYS, VALUES, max_size=4))
def test_yaml_of_any_values(content):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder) / "run.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
        check(parse(TrainConfig, ["--config", str(path)]))


@fuzz(3, content=st.one_of(YAML.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=60)))
def test_any_text_as_yaml(content):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder) / "run.yaml"
        path.write_bytes(content)
        check(parse(TrainConfig, ["--config", str(path)]))


@fuzz(3, words=st.lists(WORDS, max_size=6))
def test_any_flags(words):
    with contextlib.suppress(InputError):
        check(parse(TrainConfig, [word for word in words if word not in ("-h", "--help")]))


TERM = st.sampled_from([*TERMS, "mse", "cos", "nce", "", "ott"])
WEIGHT = st.sampled_from(["", "0.5*", "1e400*", "-1*", "nan*", "٣*", "*", "0*", "1_0*"])


@fuzz(2, parts=st.lists(st.one_of(st.builds(lambda a, b: a + b, WEIGHT, TERM), st.text(max_size=5)), max_size=4))
def test_objectives(parts):
    with contextlib.suppress(InputError):
        weights = parse_objective("+".join(parts))
        assert weights and all(0 < weight < math.inf for weight in weights.values())


@fuzz(1, code=st.one_of(st.text(max_size=10), st.from_regex(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?", fullmatch=True)))
def test_language_codes(code):
    with contextlib.suppress(InputError):
        assert normalize(normalize(code)) == normalize(code)
