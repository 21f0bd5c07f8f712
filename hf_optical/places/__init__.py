"""Folders and files of the user: how a path is meant, and who is writing there."""

from hf_optical.places.expanding import expanded, user_path

__all__ = ["expanded", "user_path"]
