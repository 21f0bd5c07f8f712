"""One grammar per language of the embedded default: a fact or a question in, words with their roles out."""

__all__ = [
    "english",
    "marathi",
    "somali",
    "swahili",
    "tagalog",
]
