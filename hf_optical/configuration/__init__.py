"""Options of the recipes: YAML first, flags win, unknown keys are refused."""

__all__ = [
    "conversion",
    "fields",
    "parsing",
    "yaml_mapping",
]
