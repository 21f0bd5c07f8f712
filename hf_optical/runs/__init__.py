"""Training runs from start to end: the parts of ``hf-optical train``, which can also be called one by one."""

__all__ = [
    "adapter_report",
    "defaults",
    "evaluation_panels",
    "held_out",
    "older_runs",
    "option_checks",
    "options",
    "planning",
    "road_words",
    "roads",
    "run_folder",
    "run_report",
    "shared_folder",
    "student",
    "teacher_cache",
    "token_means",
    "trainers",
    "training_data",
    "training_run",
    "vectors_only",
]
