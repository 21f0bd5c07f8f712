"""Options of a run: folders, checkpoints, logging, publishing and the seed."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.parsing import option

_PLAN = "hf-optical plan"


@dataclass
class OutputOptions:
    """Options of output, resuming and logging."""

    output_dir: str = option("outputs/train", "Folder for model, results and figures.", path=True)
    shared: str | None = option(
        None,
        "Folder in which several runs share grown students and document vectors, so that each is made once.",
        path=True,
    )
    check_data: bool = option(
        True, "Check the bitext for common defects before training; hf-optical doctor checks more."
    )
    save_steps: int | None = option(
        None,
        "Steps between checkpoints; an interrupted run resumes from the last one. A tenth of the steps by default, "
        "between 10 and 500.",
    )
    logging_steps: int = option(20, "Steps between logged losses.", yaml_only=True)
    resume_anyway: bool = option(
        False, "Resume an interrupted run even if options, data, teacher or package versions have changed."
    )
    overwrite: bool = option(False, "Replace a finished run in output_dir.")
    keep_checkpoints: bool = option(False, "Keep the checkpoints of a finished run.", yaml_only=True)
    push_to_hub: str | None = option(
        None, "Hub id under which to publish the model (private); the token comes from the environment."
    )
    teacher_id: str | None = option(
        None, "Hub id of the teacher for the card of push_to_hub, needed if teacher is a folder."
    )
    report_to: str = option("none", "Logging integration: wandb, tensorboard...")
    seed: int = option(
        0, "Random seed of data order, sampling and new weights; change it to see how much results vary."
    )
    plan: bool = option(False, "Only estimate time, memory and disk.", moved=_PLAN)
    gpu: str | None = option(None, "Machine to plan for.", former={"on": None}, moved=_PLAN)
    memory_gb: float | None = option(None, "Memory to plan for, in GB of 10^9 bytes.", moved=_PLAN)
