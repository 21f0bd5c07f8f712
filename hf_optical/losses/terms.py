"""Terms of an objective and their weights."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping

from hf_optical.errors import InputError

DENSE_OBJECTIVE, LATE_OBJECTIVE = "ot+rank", "ot+nce"
"""Default objectives of dense and of late-interaction students; the latter have no sentence vectors to rank."""

TERMS: dict[str, str] = {
    "ot": "transport cost between the tokens of student and teacher",
    "mse": "squared distance of the sentence vectors",
    "cos": "one minus the cosine of the sentence vectors",
    "greedy": "squared distance of tokens aligned one to one, the most similar first",
    "nearest": "squared distance of each student token to its most similar teacher token",
    "centred_ot": "unbalanced transport cost between centred tokens, their mass by their norms",
    "ot_labels": "contrast of centred tokens over the batch, labels by transport within each pair",
    "greedy_labels": "contrast of centred tokens over the batch, labels one to one, the most similar first",
    "nearest_labels": "contrast of centred tokens over the batch, each token's label is its most similar teacher token",
    "uniform_labels": "contrast of centred tokens over the batch, labels uniform over the pair: the control, which "
    "aligns nothing",
    "nce": "InfoNCE of the student's vector against the frozen teacher's in-batch English vectors",
    "rank": "the student ranks the bitext's English sentences as the teacher does; needs sentence vectors",
    "self_nce": "InfoNCE of the student's vector against its own in-batch English vectors: standard fine-tuning",
    "source": "the student also encodes the English; the other terms are applied to these vectors with this weight",
}
_OF_SENTENCES = ("mse", "cos", "nce", "rank", "self_nce", "source")
_FORMER_NAMES = {"pooled_mse": "mse", "pooled_cosine": "cos", "pooled": "cos", "contrastive": "nce", "ranking": "rank"}
_SCALED = {"nce", "rank", "self_nce"}


def default_objective(*, late_interaction: bool) -> str:
    """Return the default objective, which the loss, the trainers and the train command share.

    Example:
        >>> default_objective(late_interaction=False), default_objective(late_interaction=True)
        ('ot+rank', 'ot+nce')
    """
    return LATE_OBJECTIVE if late_interaction else DENSE_OBJECTIVE


def has_temperature(objective: str | Mapping[str, float]) -> bool:
    """Return whether a term of the objective divides scores by a temperature.

    Example:
        >>> has_temperature("ot+rank"), has_temperature("ot+mse")
        (True, False)
    """
    return bool(_SCALED & set(parse_objective(objective)))


def parse_objective(objective: str | Mapping[str, float]) -> dict[str, float]:
    """Parse an objective into the names and weights of its terms.

    Args:
        objective: ``"ot"``, ``"ot+nce"``, ``"ot+0.5*nce"``, or a mapping of names to weights. The names are the keys of
            `TERMS`; names of older versions (``contrastive``, ``ranking``, ``pooled_mse``, ``pooled_cosine``) are read
            with a ``FutureWarning``.

    Returns:
        Weights by name.

    Raises:
        InputError: A term is unknown, a weight is not a positive number, or there is no term to train.

    Example:
        >>> parse_objective("ot + 0.5*nce")
        {'ot': 1.0, 'nce': 0.5}
    """
    if isinstance(objective, str):
        parts = [part.strip() for part in objective.split("+")]
        pairs = [(part.rpartition("*")[2].strip(), part.rpartition("*")[0].strip() or "1") for part in parts]
    else:
        pairs = [(str(name), str(weight)) for name, weight in objective.items()]
    weights: dict[str, float] = {}
    for name, weight in pairs:
        current = _current_name(name)
        if current not in TERMS:
            near = difflib.get_close_matches(name, TERMS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(
                f"{name!r} is not a term of an objective", f"{hint}known terms: {', '.join(TERMS)}", field="objective"
            )
        if current in weights:
            raise InputError(f"the term {name!r} occurs twice in {objective!r}", "name it once", field="objective")
        weights[current] = _weight(name, weight)
    if not set(weights) - {"source"}:
        raise InputError("the objective has no term to train on", "add one, e.g. 'ot'", field="objective")
    if "source" in weights and not set(weights) - {"source", "self_nce"}:
        raise InputError(
            "the term 'source' repeats terms that compare with the teacher, and the objective has none",
            "add one, e.g. 'ot', or leave 'source' out",
            field="objective",
        )
    return weights


def reads_english(objective: str | Mapping[str, float]) -> bool:
    """Return whether the student reads the English too, so that the collator must tokenise it for the student.

    Example:
        >>> reads_english("ot+source"), reads_english("self_nce"), reads_english("ot+nce")
        (True, True, False)
    """
    return bool({"source", "self_nce"} & set(parse_objective(objective)))


def _current_name(name: str) -> str:
    if name in _FORMER_NAMES:
        warnings.warn(
            f"the term {name!r} is now called {_FORMER_NAMES[name]!r}; the old name will not be read in version 0.3",
            FutureWarning,
            stacklevel=3,
        )
    return _FORMER_NAMES.get(name, name)


def refuse_rank(weights: Mapping[str, float]) -> None:
    """Stop at the term that needs sentence vectors, for a late-interaction student.

    Raises:
        InputError: Says what to use.
    """
    if "rank" in weights:
        raise InputError(
            "the term 'rank' compares sentence vectors, which a late-interaction student does not have",
            "use 'nce', which compares by MaxSim",
            field="objective",
        )


def refuse_token_terms(weights: Mapping[str, float]) -> None:
    """Raise an error for terms that compare token vectors, where the teacher has sentence vectors only.

    Args:
        weights: Weights by name, from `parse_objective`.

    Raises:
        InputError: A term compares token vectors; the message names terms to use instead.

    Example:
        >>> refuse_token_terms(parse_objective("rank+mse"))
    """
    if found := [name for name in weights if name not in _OF_SENTENCES]:
        raise InputError(
            f"{' and '.join(found)} compare the teacher's token vectors, but this teacher has only one vector per text",
            "use rank, nce, mse or cos",
            field="objective",
        )


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = float("nan")
    if not 0 < weight < float("inf"):
        raise InputError(
            f"the weight of {name!r} is {text!r}", "give a positive number, e.g. '0.5*nce'", field="objective"
        )
    return weight
