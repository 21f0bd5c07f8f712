"""Grammars of the sample data's languages, which turn a fact or a question into words with their roles."""

__all__ = [
    "english",
    "marathi",
    "somali",
    "swahili",
    "tagalog",
]
