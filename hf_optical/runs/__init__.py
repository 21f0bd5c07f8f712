"""Training runs from start to end: what ``recipes/train.py`` does, in parts that can be called alone."""
