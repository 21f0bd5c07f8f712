"""Options of the commands: read from YAML, then from flags, which win; unknown keys are refused."""

__all__ = [
    "conversion",
    "fields",
    "parsing",
    "yaml_mapping",
]
