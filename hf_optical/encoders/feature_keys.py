"""Keys that the collator adds to features, which losses read and encoders do not."""

TEACHER_TOKENIZED = "teacher_tokenized"
"""Key of features that the teacher's own tokenizer made."""
MIRROR = "mirror_of_source"
"""Key of the English as the student tokenises it."""
CACHED_ROWS = "cached_rows"
"""Key of the rows of a teacher cache, (B,), which stand for the English: the loss asks the cache, not the teacher."""
