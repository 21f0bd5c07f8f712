"""Estimates of a run's time, memory and disk before it starts, with advice if it does not fit."""

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
