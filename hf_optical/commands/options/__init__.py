"""The options of each command, apart from what runs it: ``--help`` and completion need no host library."""

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
