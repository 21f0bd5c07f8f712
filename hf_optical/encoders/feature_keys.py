"""Keys that the collator adds to features for the losses; encoders ignore them."""

TEACHER_TOKENIZED = "teacher_tokenized"
"""Key that marks features made by the teacher's own tokenizer."""
MIRROR = "mirror_of_source"
"""Key of the English as the student tokenises it."""
CACHED_ROWS = "cached_rows"
"""Key of row numbers of a teacher cache, (B,), in place of the English: the loss reads the cache and not the
teacher."""
TEXT_START = "text_start"
"""Key of the number of tokens before the text, an int: the prompt's, as :mod:`~hf_optical.encoders.prompts` counts."""
