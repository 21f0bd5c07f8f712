"""What a run will take, said before it starts: time, memory, disk; and what to change where it does not fit."""

__all__ = [
    "advice",
    "batches",
    "dry_run",
    "evaluation",
    "growing",
    "machine",
    "memory",
    "planner",
    "profiling",
    "steps",
]
