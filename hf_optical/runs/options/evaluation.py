"""Options of a run: retrieval sets, held-out pairs and how they are measured."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.parsing import option
from hf_optical.training.default_values import PATIENCE


@dataclass
class EvaluationOptions:
    """Options of the evaluation."""

    eval: list[str] = option(
        [],
        "Folders of retrieval sets (corpus, queries, qrels) to measure on; never used to choose anything.",
        path=True,
    )
    held_out: float = option(
        0.05, "Share of the bitext held out to choose the best step by (50 to 500 pairs, whole documents); 0 for none."
    )
    offset: str = option(
        "none",
        "Mean vector that a last layer subtracts from queries: 'query' (their mean), 'residual' (their mean minus that "
        "of the English), 'auto' (chosen on held-out pairs), or 'none'.",
    )
    eval_steps: int | None = option(
        None,
        "Steps between validations on held-out pairs; a twenty-fifth of the steps, and at least 10, if not given.",
        yaml_only=True,
    )
    patience: int = option(
        PATIENCE, "Validations without improvement after which training stops; 0 to never stop early.", yaml_only=True
    )
    english_eval: list[str] = option(
        [],
        "Folders of retrieval sets with English queries, to measure how much English retrieval the student loses.",
        path=True,
        yaml_only=True,
    )
    on_problem: str = option(
        "error",
        "What to do with inconsistent retrieval sets: 'error' stops; 'warn' names what is left out.",
        yaml_only=True,
    )
    titles: bool = option(
        False, "Put the title of a document before its text, as BEIR and MTEB do, in evaluation and in training."
    )
    document_encoder: str | None = option(
        None,
        "Encoder of the documents in evaluation and in training on questions: 'teacher' (the existing index, which "
        "stays), or 'student' (one model for both sides, the default where retrieval is trained).",
        former={"index": None},
    )
    interaction: str | None = option(
        None, "Compare texts by sentence vectors ('dense') or by tokens ('maxsim'); by default the model's own way."
    )
    off_the_shelf: str | None = option(
        None,
        "Multilingual encoder, Hub id or folder, that is measured for comparison with an index of its own.",
        path=True,
    )
    hybrid: bool = option(
        False,
        "Also search the sets and the held-out pairs with BM25, fused with the trained student by reciprocal ranks.",
    )
    measure_start: bool = option(
        True,
        "Measure teacher, untrained student and ceiling before training; switch off if another run has done so.",
        yaml_only=True,
    )
    measure_english: bool = option(
        False, "Also measure the student on English queries, to see how much it forgets.", yaml_only=True
    )
