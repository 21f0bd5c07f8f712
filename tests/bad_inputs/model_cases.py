"""Teachers, students, checkpoints, output folders and adapters that are not what they should be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import tiny_models
import torch
from bad_input import Bad, Flags, Place
from safetensors.torch import load_file, save_file

_REMOTE = '[{"idx": 0, "name": "0", "path": "", "type": "modeling_own.Own"}]'
_OWN = {"AutoModel": "modeling_own.Own", "AutoConfig": "modeling_own.Own"}
_WEIGHTS, _WORDS = "model.safetensors", "embeddings.word_embeddings.weight"
_KEY = "encoder.layer.0.attention.self.key.weight"
_POINTER = "version https://git-lfs.github.com/spec/v1\n"


def _teacher(spoil: Callable[[Path], object], flag: str = "teacher") -> Callable[[Place], Flags]:
    def make(place: Place) -> Flags:
        folder = place.copy("teacher")
        spoil(folder)
        return {flag: str(folder)}

    return make


def _json(name: str, **values: object) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({**content, **values}), encoding="utf-8")

    return spoil


def _write(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _modules(**values: object) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        modules[1].update(values)
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")

    return spoil


def _weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        state = load_file(folder / _WEIGHTS)
        change(state)
        save_file(state, folder / _WEIGHTS, metadata={"format": "pt"})

    return spoil


def _nan(state: dict[str, torch.Tensor]) -> None:
    state[_WORDS].fill_(float("nan"))


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / _WEIGHTS), folder / "pytorch_model.bin")
    (folder / _WEIGHTS).unlink()


def _cut(name: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return spoil


def _remote_code(folder: Path) -> None:
    (folder / "modules.json").write_text(_REMOTE, encoding="utf-8")
    (folder / "modeling_own.py").write_text("raise SystemExit('remote code was run')\n", encoding="utf-8")


def _plain(architecture: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
            (folder / name).unlink(missing_ok=True)
        _json("config.json", architectures=[architecture])(folder)

    return spoil


def _fewer_words(folder: Path) -> None:
    """An embedding table smaller than the tokenizer's vocabulary."""
    _json("config.json", vocab_size=8)(folder)
    _weights(lambda state: state.update({_WORDS: state[_WORDS][:8].clone()}))(folder)


def _static(place: Place) -> Flags:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = tiny_models.dense(place.folder / "parts").tokenizer
    words = StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=16)
    SentenceTransformer(modules=[words], device="cpu").save_pretrained(place.path("static"))
    return {"teacher": place.path("static")}


def _empty(place: Place) -> Flags:
    (place.folder / "teacher").mkdir()
    return {"teacher": place.path("teacher")}


def _narrow(place: Place) -> Flags:
    tiny_models.dense(place.folder / "parts", width=8).save_pretrained(place.path("narrow"))
    return {"document_model": place.path("narrow")}


TEACHERS = [
    Bad("teacher_nowhere", ("nowhere/nothing", "local folder"), lambda place: {"teacher": "nowhere/nothing"}),
    Bad("teacher_nowhere_at_all", ("/nowhere/nothing", "folder"), lambda place: {"teacher": "/nowhere/nothing"}),
    Bad("teacher_a_file", ("model.bin", "folder"), lambda place: {"teacher": place.file("model.bin", "x")}),
    Bad("teacher_empty_folder", ("teacher", "no model"), _empty),
    Bad("teacher_pickled", ("pytorch_model.bin", "safetensors"), _teacher(_pickled)),
    Bad("teacher_remote_code", ("modules.json", "modeling_own.Own"), _teacher(_remote_code)),
    Bad(
        "teacher_unknown_class",
        ("teacher", "Poolings"),
        _teacher(_modules(type="sentence_transformers.sentence_transformer.modules.Poolings")),
    ),
    Bad("teacher_class_elsewhere", ("modules.json", "subprocess.Popen"), _teacher(_modules(type="subprocess.Popen"))),
    Bad("teacher_module_elsewhere", ("modules.json", "../elsewhere"), _teacher(_modules(path="../elsewhere"))),
    Bad("teacher_module_missing", ("2_Missing/config.json", "missing"), _teacher(_modules(path="2_Missing"))),
    Bad("teacher_modules_broken", ("modules.json", "JSON"), _teacher(_write("modules.json", '[{"idx": 0'))),
    Bad("teacher_modules_no_list", ("modules.json",), _teacher(_write("modules.json", '{"idx": 0}'))),
    Bad("teacher_config_broken", ("config.json", "JSON"), _teacher(_write("config.json", "{"))),
    Bad("teacher_auto_map", ("teacher",), _teacher(_json("config.json", model_type="own", auto_map=_OWN))),
    Bad("teacher_nan", ("not finite", "word_embeddings"), _teacher(_weights(_nan))),
    Bad(
        "teacher_one_infinity",
        ("not finite", "key.weight"),
        _teacher(_weights(lambda state: state[_KEY][0].fill_(float("inf")))),
    ),
    Bad("teacher_weights_cut", ("teacher", _WEIGHTS), _teacher(_cut(_WEIGHTS))),
    Bad("teacher_weights_pointer", ("teacher", _WEIGHTS), _teacher(_write(_WEIGHTS, _POINTER))),
    Bad(
        "teacher_weights_of_another_shape",
        ("teacher", "word_embeddings"),
        _teacher(_json("config.json", vocab_size=99)),
    ),
    Bad("teacher_weights_missing", ("teacher", "key.weight"), _teacher(_weights(lambda state: state.pop(_KEY)))),
    Bad(
        "teacher_tokenizer_missing",
        ("teacher", "tokenizer is missing"),
        _teacher(lambda folder: [path.unlink() for path in folder.glob("tokenizer*")]),
    ),
    Bad("teacher_tokenizer_broken", ("teacher",), _teacher(_write("tokenizer.json", '{"version": "1.0"'))),
    Bad("teacher_tokenizer_too_large", ("teacher", "tokens"), _teacher(_fewer_words)),
    Bad(
        "teacher_cross_encoder",
        ("teacher", "ForSequenceClassification"),
        _teacher(_plain("BertForSequenceClassification")),
    ),
    Bad(
        "teacher_cross_encoder_saved",
        ("teacher", "CrossEncoder"),
        _teacher(_json("config_sentence_transformers.json", model_type="CrossEncoder")),
    ),
    Bad(
        "teacher_sparse",
        ("teacher", "SparseEncoder"),
        _teacher(_json("config_sentence_transformers.json", model_type="SparseEncoder")),
    ),
    Bad("teacher_static", ("StaticEmbedding", "Transformer"), _static),
    Bad("teacher_plain_transformer", ("teacher", "mean pooling"), _teacher(_plain("BertModel")), outcome="warning"),
    Bad("student_misspelt", ("'repalce'", "replace"), lambda place: {"student": "repalce"}),
    Bad("student_pickled", ("pytorch_model.bin", "safetensors"), _teacher(_pickled, "student")),
    Bad("student_remote_code", ("modules.json", "modeling_own.Own"), _teacher(_remote_code, "student")),
    Bad("student_nan", ("not finite", "word_embeddings"), _teacher(_weights(_nan), "student")),
    Bad("evaluate_nan", ("not finite", "word_embeddings"), _teacher(_weights(_nan), "model"), "evaluate"),
    Bad("evaluate_nowhere", ("nowhere/nothing",), lambda place: {"model": "nowhere/nothing"}, "evaluate"),
    Bad("evaluate_widths", ("16", "8"), _narrow, "evaluate"),
]


def _run(spoil: Callable[[Path], object], **flags: object) -> Callable[[Place], Flags]:
    """An interrupted run with a checkpoint, made by the recipe itself from the sound parts, and spoilt."""

    def make(place: Place) -> Flags:
        shutil.copytree(place.sound.parent / "interrupted", place.folder / "out")
        spoil(place.folder / "out")
        return {"output_dir": place.path("out"), **flags}

    return make


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _another_teacher(place: Place) -> Flags:
    tiny_models.dense(place.folder / "parts", tiny_models.ENGLISH, seed=4).save_pretrained(place.path("teacher"))
    return {**_run(lambda folder: None)(place), "teacher": place.path("teacher")}


_STATE = "checkpoint-1/trainer_state.json"

CHECKPOINTS = [
    Bad("checkpoint_other_options", ("seed (was 0, now 3)", "--resume_anyway"), _run(lambda folder: None, seed="3")),
    Bad("checkpoint_other_teacher", ("teacher_weights", "--resume_anyway"), _another_teacher),
    Bad("checkpoint_optimizer_missing", ("checkpoint-1", "optimizer.pt"), _run(_remove("checkpoint-1/optimizer.pt"))),
    Bad("checkpoint_optimizer_cut", ("checkpoint-1", "optimizer.pt"), _run(_cut("checkpoint-1/optimizer.pt"))),
    Bad("checkpoint_scheduler_missing", ("checkpoint-1", "scheduler.pt"), _run(_remove("checkpoint-1/scheduler.pt"))),
    Bad("checkpoint_rng_missing", ("checkpoint-1", "rng_state"), _run(_remove("checkpoint-1/rng_state.pth"))),
    Bad("checkpoint_weights_missing", ("checkpoint-1", _WEIGHTS), _run(_remove(f"checkpoint-1/{_WEIGHTS}"))),
    Bad("checkpoint_weights_cut", ("checkpoint-1", _WEIGHTS), _run(_cut(f"checkpoint-1/{_WEIGHTS}"))),
    Bad(
        "checkpoint_state_edited",
        ("trainer_state.json", "global_step"),
        _run(lambda folder: _json(_STATE, global_step=7)(folder)),
    ),
    Bad(
        "checkpoint_state_text",
        ("trainer_state.json", "global_step"),
        _run(lambda folder: _json(_STATE, global_step="one")(folder)),
    ),
    Bad("checkpoint_state_list", ("trainer_state.json",), _run(lambda folder: _write(_STATE, "[]")(folder))),
    Bad("checkpoint_run_file_cut", ("run.json",), _run(_cut("run.json"))),
    Bad("checkpoint_run_file_list", ("run.json",), _run(_write("run.json", "[]"))),
]


def _elses_model(place: Place) -> Flags:
    shutil.copytree(place.sound / "teacher", place.folder / "out" / "model")
    return {}


def _finished(place: Place) -> Flags:
    place.file("out/run.json", "{}")
    place.file("out/results.json", "{}")
    return {}


OUTPUTS = [
    Bad("output_finished_run", ("out", "finished run", "--overwrite"), _finished),
    Bad("output_of_someone_else", ("out", "no run of hf-optical train wrote"), _elses_model),
    Bad("output_a_file", ("out",), lambda place: {"output_dir": place.file("out", "x")}),
    Bad("output_below_a_file", ("out",), lambda place: {"output_dir": f"{place.file('out', 'x')}/below"}),
    Bad("output_unwritable", ("/sys",), lambda place: {"output_dir": "/sys/kernel/hf_optical"}),
    Bad("output_empty", ("'output_dir'", "empty"), lambda place: {"output_dir": ""}),
    Bad("output_evaluate_a_file", ("out",), lambda place: {"output_dir": place.file("out", "x")}, "evaluate"),
]


def _adapters(spoil: Callable[[Path], object]) -> Callable[[Place], Flags]:
    def make(place: Place) -> Flags:
        from hf_optical.adapters import LanguageAdapters

        adapters = LanguageAdapters(tiny_models.dense(place.folder / "parts"))
        adapters.add("swh_Latn", r=2)
        adapters.save(place.path("adapters"))
        spoil(place.folder / "adapters")
        return {"folder": place.path("adapters")}

    return make


def _pickled_adapter(folder: Path) -> None:
    path = folder / _ADAPTER
    path.rename(path.with_name("adapter_model.bin"))


def _linked_out(folder: Path) -> None:
    path = folder / _ADAPTER
    path.rename(folder.parent / "elsewhere.safetensors")
    path.symlink_to(folder.parent / "elsewhere.safetensors")


_ADAPTER = "adapters/swh_Latn/adapter_model.safetensors"
_CONFIG = "adapters/swh_Latn/adapter_config.json"

ADAPTERS = [
    Bad("adapters_none", ("no adapter",), lambda place: {"folder": str(place.sound / "teacher")}, "adapters"),
    Bad("adapters_pickled", ("pickled", "safetensors"), _adapters(_pickled_adapter), "adapters"),
    Bad("adapters_cut", ("swh_Latn", "damaged"), _adapters(_cut(_ADAPTER)), "adapters"),
    Bad("adapters_elsewhere", ("link out of the folder",), _adapters(_linked_out), "adapters"),
    Bad(
        "adapters_of_another_base",
        ("other weights",),
        _adapters(_weights(lambda state: state[_WORDS].add_(1))),
        "adapters",
    ),
    Bad("adapters_manifest_broken", ("adapters.json", "damaged"), _adapters(_write("adapters.json", "{")), "adapters"),
    Bad("adapters_kind", (_CONFIG.rpartition("/")[2],), _adapters(_json(_CONFIG, use_dora=True)), "adapters"),
]

CASES = [*TEACHERS, *CHECKPOINTS, *OUTPUTS, *ADAPTERS]
