"""Output at the end of a run: tables, the meaning of the rows, next steps; and the model card beside its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_optical.data.languages import language_name
from hf_optical.evaluation.significance import legend_of
from hf_optical.publishing.provenance import find_teacher
from hf_optical.results.records import kept_words
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.next_steps import (
    THIS_FOLDER,
    advice,
    commands,
    example_query,
    legend,
    model_readme,
    note_on_documents,
)
from hf_optical.runs.options import TrainConfig


def tell(
    config: TrainConfig,
    panels: EvaluationPanels,
    results: Mapping[str, Any],
    *,
    steps: int,
    held_out: str,
    held_out_queries: Sequence[str],
    adapters: str,
    page: Path,
    use: Callable[..., str],
    language: str,
) -> None:
    """Print the end of a run, and replace sentence-transformers' default model card by one that describes this model.

    Args:
        config: The run's options.
        panels: The run's evaluation tables.
        results: The content of the run's ``results.json``.
        steps: Number of optimizer steps taken.
        held_out: The table of the held-out pairs, as text.
        held_out_queries: Translations of held-out pairs, one of which is the example query without a retrieval set.
        adapters: The report on the adapters, as text.
        page: Path of the run's ``report.html``.
        use: Gives lines of Python code that use the model, by the places of student and teacher (`usage`).
        language: The first language of the run.
    """
    output = Path(config.output_dir)
    teacher = find_teacher(str(config.teacher), hub_id=config.teacher_id, record=results.get("teacher"))
    readme = model_readme(results, language_name(language), teacher, use(THIS_FOLDER, teacher.place))
    (output / "model" / "README.md").write_text(readme, encoding="utf-8")
    taken = ", ".join(part for part in (f"{steps} steps", kept_words(results)) if part)
    print(f"\nAfter training ({taken}):")
    if table := panels.table():
        print(f"{table}\n\n{panels.sentences()}\n")
    if rows := panels.rows():
        print(f"Meaning of the rows:\n{legend(rows)}\n")
    if held_out:
        print(f"{held_out}\n")
    if said := legend_of(panels.sentences() + held_out):
        print(f"{said}\n")
    if alignment := results.get("alignment"):
        shown = ", ".join(f"{name} {value:.3g}" for name, value in alignment.items())
        print(f"Plan against the gold word alignments (error rates): {shown}\n")
    if adapters:
        print(f"{adapters}\n")
    print(f"Report with queries, plans and curves: {page}")
    if (plan := output / "figures" / "plan.png").is_file():
        print(f"Picture of a transport plan between tokens: {plan}")
    asked = [*panels.queries().values(), held_out_queries]
    query = next((example_query(queries) for queries in asked if queries), None)
    entries, held_out_pairs = results.get("evaluations") or [], results.get("held_out") or {}
    print(f"\nNext: {advice(entries, held_out_pairs, results.get('doctor'))}")
    measured = entries or held_out_pairs.get("evaluations") or []
    lines = commands(config, output, language, query, measured)
    print("\n".join(f"  {line}" for line in lines))
    if note := note_on_documents(lines):
        print(note)
    print(f"\nUse in Python:\n{use(str(output / 'model'))}")
