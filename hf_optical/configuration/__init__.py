"""Options of the recipes: YAML first, flags win, unknown keys are refused."""
