"""Teachers and other encoders: loading, checking, taking apart, reading texts and tokens."""
