"""Probe an encoder with a lexicon, layer by layer, and its tokenizer with texts.

``hf-optical probe --model M --lexicon FILE [--after M2] [--teacher T] [--texts FILE] --output_dir OUT``. Reports the
layers at which words are near their translations, and the layer that lexical injection should train. Without arguments
it probes the student of the embedded sample, as grown and with its rows aligned in the bitext.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hf_optical.commands.options.probe import ProbeConfig
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.lexicon import read_lexicon
from hf_optical.data.pairs import PairReport
from hf_optical.data.tokenizer_report import read_texts, report_tokenizer, tokenizer_table
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.evaluation.layer_probe import LayerProbe, probe_layers, without_copies
from hf_optical.figures.layer_probe import draw_layer_probe
from hf_optical.places import holding_output
from hf_optical.results.files import write_results

SPECIAL_TOKENS = ("exclude", "include", "first")


@holding_output
def main(config: ProbeConfig) -> None:
    """Read the lexicon, probe the models, draw and write the results."""
    started, output = time.time(), Path(config.output_dir)
    if config.special_tokens not in SPECIAL_TOKENS:
        raise InputError(
            f"is {config.special_tokens!r}", f"use one of {', '.join(SPECIAL_TOKENS)}", field="special_tokens"
        )
    if not any((config.model, config.lexicon, config.texts)):
        _prepare_sample(config)
    if not config.model or not (config.lexicon or config.texts):
        missing = "model" if not config.model else "lexicon"
        raise InputError(
            "is not given", f"add --{missing} (and --texts for the tokenizer), or nothing at all", field=missing
        )
    texts = _texts(config)
    pairs, copies = _pairs(config) if config.lexicon else ([], 0)
    model: Any = load_encoder(config.model)
    tokenizer = [report_tokenizer(model, some, language) for language, some in texts.items()]
    if tokenizer:
        print(f"\nTokenizer:\n{tokenizer_table(tokenizer)}")
    probes = _probe(config, model, pairs) if pairs else {}
    for name, probe in probes.items():
        print(f"\n{name}:\n{probe.table()}")
    if probes and find_spec("matplotlib"):
        draw_layer_probe(probes, output / "figures" / "layer_probe.png")
    path = write_results(
        output,
        evaluations=[],
        seed=config.seed,
        data=[file_fingerprint(file) for file in (config.lexicon, *config.texts) if file],
        started=started,
        config=asdict(config),
        copies_left_out=copies,
        probes={name: probe.to_dict() for name, probe in probes.items()},
        tokenizer=[report.to_dict() for report in tokenizer],
    )
    print(f"\nWritten: {path}")


def _probe(config: ProbeConfig, model: Any, pairs: list[tuple[str, str]]) -> dict[str, LayerProbe]:
    teacher: Any = load_encoder(config.teacher) if config.teacher else None
    options: dict[str, Any] = {"special_tokens": config.special_tokens, "batch_size": config.batch_size}
    options |= {"teacher": teacher, "show_progress": True}
    probes = {"before" if config.after else "model": probe_layers(model, pairs, **options)}
    if config.after:
        after: Any = load_encoder(config.after)
        probes["after"] = probe_layers(after, pairs, **options)
    if len({len(probe.layers) for probe in probes.values()}) > 1:
        raise InputError("has different layers than the model", "probe it by itself, as --model", field="after")
    return probes


def _pairs(config: ProbeConfig) -> tuple[list[tuple[str, str]], int]:
    report = PairReport()
    rows = read_lexicon(
        config.lexicon or "",
        source_field=config.source_field,
        translation_field=config.translation_field,
        language=config.language,
        on_bad_rows=config.on_bad_rows,  # type: ignore[arg-type]
        report=report,
    )
    print("\n".join(report.messages))
    pairs = list(zip(rows["source"], rows["translation"], strict=True))
    kept = pairs if config.keep_copies else without_copies(pairs)
    if len(kept) < len(pairs):
        print(f"{len(pairs) - len(kept)} pairs are the same word twice and left out (--keep_copies keeps them)")
    return kept[: config.max_pairs], len(pairs) - len(kept)


def _texts(config: ProbeConfig) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in config.texts:
        for language, some in read_texts(file, text_field=config.text_field, language=config.texts_language).items():
            found.setdefault(language, []).extend(some)
    return found


def _prepare_sample(config: ProbeConfig) -> None:
    from hf_optical.commands.sample.probed import prepare_probed

    for name, value in prepare_probed(Path(config.output_dir) / "sample", config.seed).items():
        setattr(config, name, value)
