"""Checks of the judgements of a retrieval set against its queries and documents."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hf_optical.data.qrels import Judgement
from hf_optical.errors import InputError

logger = logging.getLogger(__name__)

OnProblem = Literal["error", "warn"]


@dataclass
class Problems:
    """Handling of problems of one kind: an error at the first, or a warning with their number.

    Attributes:
        on_problem: ``"error"`` or ``"warn"``.
    """

    on_problem: OnProblem

    def report(self, found: Sequence[str], problem: str, remedy: str, path: Path) -> None:
        """Raise an error or log a warning if anything was found.

        Args:
            found: Descriptions of the rows concerned, of which the first five are listed.
            problem: The problem in words.
            remedy: What the user can do.
            path: The file.

        Raises:
            InputError: Something was found, and ``on_problem`` is ``"error"``.
        """
        if not found:
            return
        listed = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        message = f"{problem}: {listed} ({len(found)} in all)"
        if self.on_problem == "error":
            raise InputError(
                message, f"{remedy}, or leave such rows out with --on_problem warn (on_problem='warn')", path=path
            )
        logger.warning("%s: %s; left out", path, message)


def checked_qrels(
    judgements: list[Judgement],
    queries: dict[str, str],
    corpus: dict[str, str],
    path: Path,
    shared: bool,
    problems: Problems,
) -> dict[str, dict[str, int]]:
    """Return the judgements of known queries and documents, and report the others.

    Args:
        judgements: The rows of the file.
        queries: Text by query id.
        corpus: Text by document id.
        path: File of the judgements.
        shared: Whether the file also has queries of other languages.
        problems: How problems are handled.

    Returns:
        Query id to document id to grade.

    Raises:
        InputError: No judgement is left, or none is positive.
    """
    qrels: dict[str, dict[str, int]] = {}
    strangers: list[str] = []
    missing: list[str] = []
    for query, document, grade, number in judgements:
        if query not in queries:
            strangers.append(f"{query!r} (row {number})")
        elif document not in corpus:
            missing.append(f"{document!r} (row {number})")
        else:
            qrels.setdefault(query, {})[document] = grade
    if not qrels:
        problem = "no judgement concerns a query and a document of this set"
        raise InputError(problem, "use the identifiers of the queries and documents in the judgements", path=path)
    if shared and strangers:
        logger.info("%s: %d judgements concern queries that this language lacks; left out", path, len(strangers))
    else:
        problems.report(strangers, "judgements of queries that do not exist", "correct the identifiers", path)
    problems.report(missing, "judgements of documents that do not exist", "correct the identifiers", path)
    if not any(grade > 0 for grades in qrels.values() for grade in grades.values()):
        raise InputError("no judgement is positive", "grade the relevant documents 1 or more", path=path)
    return qrels


def judged_queries(
    queries: dict[str, str],
    qrels: dict[str, dict[str, int]],
    qrels_path: Path,
    query_path: Path,
    problems: Problems,
    *,
    partial: bool,
) -> dict[str, str]:
    """Return the queries with a positive judgement, and report the others, which would score zero with any ranking.

    Args:
        queries: Text by query id.
        qrels: Query id to document id to grade.
        qrels_path: File of the judgements, for messages.
        query_path: File of the queries, for messages.
        problems: How problems are handled.
        partial: Whether the judgements are for one pair of languages only, so that unjudged queries are normal.
    """
    kept = {key: text for key, text in queries.items() if any(grade > 0 for grade in qrels.get(key, {}).values())}
    without = [repr(identifier) for identifier in queries if identifier not in kept]
    if without and (partial or qrels_path.parent.name == "qrels"):
        # The file of queries serves all pairs of languages, or in BEIR all splits, and each has its own judgements.
        logger.info("%s: %d queries are not judged in %s; left out", query_path, len(without), qrels_path.name)
    else:
        problems.report(without, "queries without a positive judgement", f"judge them in {qrels_path.name}", query_path)
    return kept
