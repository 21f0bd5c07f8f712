"""The results of runs and comparisons: what results.json says, reading and writing it."""
