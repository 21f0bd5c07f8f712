"""Judgements of a retrieval set, checked against its queries and documents."""

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
    """Either stops at the first problem, or counts the problems of each kind."""

    on_problem: OnProblem

    def report(self, found: Sequence[str], problem: str, remedy: str, path: Path) -> None:
        """Stop or warn, if anything was found."""
        if not found:
            return
        listed = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        message = f"{problem}: {listed} ({len(found)} in all)"
        if self.on_problem == "error":
            raise InputError(
                message, f"{remedy}, or leave them out with --on_problem warn (on_problem='warn')", path=path
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
    """Return the judgements of known queries and documents by query, and report the others.

    Args:
        judgements: The rows of the file.
        queries: Text by query id.
        corpus: Text by document id.
        path: File of the judgements.
        shared: Whether the file also has queries of other languages.
        problems: Collects or raises problems.

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
        raise InputError(problem, "check that the identifiers are those of the queries and documents", path=path)
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
    """Return the queries with a positive judgement; others would score zero whatever is retrieved."""
    kept = {key: text for key, text in queries.items() if any(grade > 0 for grade in qrels.get(key, {}).values())}
    without = [repr(identifier) for identifier in queries if identifier not in kept]
    if without and (partial or qrels_path.parent.name == "qrels"):
        # One file has the queries of every pair of languages, or (BEIR) of every split; each has its own judgements.
        logger.info("%s: %d queries are not judged in %s; left out", query_path, len(without), qrels_path.name)
    else:
        problems.report(without, "queries without a positive judgement", f"judge them in {qrels_path.name}", query_path)
    return kept
