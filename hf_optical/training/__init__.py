"""Training: trainers, their arguments, the losses of each kind of data set, checkpoints, monitor and memory advice."""

__all__ = [
    "arguments",
    "checkpoints",
    "held_out_choice",
    "lexical_stage",
    "losses_by_kind",
    "monitor",
    "out_of_memory",
    "partial_embedding",
    "progress",
    "teacher_bank",
    "teacher_temperature",
    "token_idf",
    "trainable_embeddings",
    "trainer",
]
