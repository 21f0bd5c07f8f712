"""Folders and files of the user: how a path is meant, and who is writing there."""

from hf_optical.places.expanding import expanded, user_path
from hf_optical.places.whole import whole_file, whole_folder

__all__ = ["expanded", "user_path", "whole_file", "whole_folder"]
