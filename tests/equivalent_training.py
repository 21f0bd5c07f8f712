"""Twenty steps of every loss on tiny models; writes the weights. For ``test_equivalent_training.py``.

Run by torchrun as ``equivalent_training.py FOLDER``; the models lie in FOLDER already. Imported for the single process.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import tiny_models
import torch
from datasets import Dataset
from torchrun import PLAIN_STEPS

from hf_optical import MultiVectorOTDistillationTrainer, OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.adapters import LanguageAdapters
from hf_optical.batching import HybridBatchSampler
from hf_optical.encoders.models import load_encoder
from hf_optical.students import adapt_student, grow_student

BATCH, STEPS = 8, 20
# Name: the kinds of data, the objective on bitext, late interaction.
CASES: dict[str, tuple[tuple[str, ...], str, bool]] = {
    "ot": (("bitext",), "ot", False),
    "ot-late": (("bitext",), "ot", True),
    "nce": (("bitext",), "nce", False),
    "mse": (("bitext",), "mse", False),
    "ot+rank": (("bitext",), "ot+rank", False),
    "ot+nce+source": (("bitext",), "ot+0.5*nce+source", False),
    "mono": (("mono",), "ot", False),
    "cross": (("cross",), "ot", False),
    "lexical": (("lexicon",), "ot", False),
    "hybrid": (("mono", "cross", "bitext"), "ot+nce", False),
    "adapters": (("mixed",), "ot+nce", False),
    "adapters-late": (("mixed",), "ot+nce", True),
    "mapped": (("bitext",), "ot+rank", False),
    "frozen": (("bitext",), "ot+rank", False),
    "used-rows": (("bitext",), "ot+rank", False),
    "new-pieces": (("bitext",), "ot+rank", False),
    "anchored": (("bitext",), "ot+rank", False),
}
# Cases whose student is another: of other width with a map, of two layers, grown from a Unigram vocabulary, a copy.
STUDENTS = {"mapped": "mapped", "frozen": "deep", "new-pieces": "extended", "anchored": "teacher-False"}
OPTIONS: dict[str, dict[str, object]] = {
    "frozen": {"freeze_layers": 1},
    "used-rows": {"train_embeddings": "used"},
    "anchored": {"train_embeddings": "used", "anchor": 0.5},
}
# Of the rows of a batch: one process of two never sees the last, and nobody the fourth adapter.
LANGUAGES, UNUSED = ("swh_Latn", "som_Latn", "tgl_Latn"), "xho_Latn"
_NAMES = {
    "bitext": "bitext/eng_Latn-swh_Latn",
    "mono": "mono/swh_Latn",
    "cross": "cross/swh_Latn-eng_Latn",
    "lexicon": "lexicon/eng_Latn-swh_Latn",
    "mixed": "bitext/mixed",
}


def save_models(folder: Path) -> None:
    """Teacher and student, dense and late; both read both word lists, as lexical injection wants."""
    words = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    for late in (False, True):
        make = tiny_models.late if late else tiny_models.dense
        for name, seed in (("student", 1), ("teacher", 0)):
            make(folder / "parts", words, seed=seed).save_pretrained(str(folder / f"{name}-{late}"))
    from tests.students.conftest import teacher_from, unigram_parts  # not on the path of the ranks

    tiny_models.dense(folder / "parts", words, layers=2, seed=2).save_pretrained(str(folder / "deep"))
    tiny_models.dense(folder / "parts", words, width=32, seed=3).save_pretrained(str(folder / "other"))
    pairs = tiny_models.bitext(40, seed=6)
    teacher = load_encoder(str(folder / "teacher-False"), device="cpu")
    mapped = adapt_student(folder / "other", teacher, pairs=(pairs["source"][:], pairs["translation"][:]))
    assert any("Dense" in type(module).__name__ for module in mapped)
    mapped.save_pretrained(str(folder / "mapped"))
    multilingual = teacher_from(unigram_parts, folder / "unigram", False)
    grown = grow_student(multilingual, pairs["translation"], new_pieces=40, english=pairs["source"])
    assert len(grown.tokenizer) > len(multilingual.tokenizer)
    settings = grown[0].model.config
    settings.hidden_dropout_prob = settings.attention_probs_dropout_prob = 0.0
    grown.save_pretrained(str(folder / "extended"))


def student_of(name: str) -> str:
    """The folder of a case's student."""
    return STUDENTS.get(name, f"student-{CASES[name][2]}")


def rows_of(kind: str, rows: int) -> Dataset:
    """Distinct rows: the samplers keep equal texts out of a batch, which would make two orders of one."""
    pairs = tiny_models.bitext(rows, seed=3)
    if kind == "bitext":
        return pairs
    if kind == "mixed":
        swahili, somali, tagalog = LANGUAGES
        return pairs.add_column("language", [swahili] * (rows // 2) + [somali] * (rows // 2 - 1) + [tagalog])
    if kind == "lexicon":
        words = zip(tiny_models.ENGLISH * 2, tiny_models.SWAHILI, strict=False)
        return Dataset.from_list([{"source": one, "translation": other} for one, other in words]).select(range(rows))
    passages = tiny_models.bitext(rows, seed=4)
    questions = pairs["translation"] if kind == "cross" else passages["source"]
    return Dataset.from_dict(
        {"query": [f"{text} {i}" for i, text in enumerate(questions)], "passage": passages["translation"]}
    )


def train(
    folder: Path,
    name: str,
    *,
    batch: int = BATCH,
    processes: int = 1,
    accumulate: int = 1,
    rows: int | None = None,
    **options: object,
) -> dict[str, torch.Tensor]:
    """The student's weights after twenty steps.

    Args:
        folder: Of the models.
        name: The case.
        batch: Rows of an optimizer step, over all processes and all accumulated batches.
        processes: As many as share it.
        accumulate: As many batches as it is cut into.
        rows: Of each data set; as many as a step takes, so that their order does not count.
        **options: Training arguments.
    """
    kinds, objective, late = CASES[name]
    student, teacher = (load_encoder(str(folder / who), device="cpu") for who in (student_of(name), f"teacher-{late}"))
    rate = 0.02
    if kinds in (("mono",), ("cross",)):
        # A contrast at temperature .05 is steep: at .02, twenty steps make two hundred times as much of the last bit of
        # float32, in two processes (1e-5) as in one that reads the rows in another order (5e-6).
        rate = 0.002
    if "mixed" in kinds:
        rate = 0.5  # adapters begin at nothing
        torch.manual_seed(5)
        adapters = LanguageAdapters(student)
        for language in (*LANGUAGES, UNUSED):
            adapters.add(language, r=4)
    sets = {_NAMES[kind]: rows_of(kind, rows or (batch if len(kinds) == 1 else 3 * batch)) for kind in kinds}
    settings: dict[str, object] = {
        **PLAIN_STEPS,
        "max_steps": STEPS,
        "learning_rate": rate,
        "logging_strategy": "no",
        "dataloader_drop_last": True,
        "gather_across_devices": processes > 1,
        "lexical_layer": 1,
    }
    if len(kinds) > 1:  # its order is the same for any number of processes: three sets, several steps an epoch
        settings["multi_dataset_batch_sampler"] = HybridBatchSampler.with_policy(
            alpha=0.5, bitext_share=0.3, names=list(sets), no_duplicates=False, gathered=True
        )
    args = OTDistillationTrainingArguments(
        output_dir=str(folder / "out"),
        objective=objective,
        temperature=0.05,
        per_device_train_batch_size=batch // processes // accumulate,
        gradient_accumulation_steps=accumulate,
        **{**settings, **OPTIONS.get(name, {}), **options},
    )
    kind = MultiVectorOTDistillationTrainer if late else OTDistillationTrainer
    trainer = kind(model=student, teacher=teacher, args=args, train_dataset=sets)
    trainer.train()
    assert trainer.state.global_step == STEPS
    return {key: value.detach().clone() for key, value in student.state_dict().items()}


def main() -> None:
    """All cases, on this rank."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    found = {name: train(folder, name, processes=2) for name in CASES}
    torch.save(found, folder / f"rank{torch.distributed.get_rank()}.pt")
    # Trainers first: see tests/batching/sampling_run.py.
    gc.collect()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
