"""Training runs from start to end: what ``hf-optical train`` does, in parts that can be called alone."""
