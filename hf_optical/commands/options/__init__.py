"""Options of each command, separate from the code that runs it, so that ``--help`` has no heavy imports."""

__all__ = [
    "compare",
    "completion",
    "doctor",
    "evaluate",
    "export",
    "plan",
    "probe",
    "publish",
    "search",
    "train",
]
