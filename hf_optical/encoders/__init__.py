"""Encoders and teachers: loading, checking, taking apart, encoding texts and tokens."""

__all__ = [
    "content_tokens",
    "encoding",
    "feature_keys",
    "limits",
    "model_folder",
    "models",
    "parts",
    "shared_space",
    "teachers",
    "token_means",
    "token_vectors",
    "token_view",
    "word_vectors",
]
