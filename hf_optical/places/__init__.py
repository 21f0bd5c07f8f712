"""Folders and files of the user: expanding paths, naming them, locking, and writing atomically."""

from hf_optical.places.expanding import expanded, user_path
from hf_optical.places.locking import held, holding_output, waited_for
from hf_optical.places.naming import distinct_names
from hf_optical.places.whole import whole_file, whole_folder

__all__ = [
    "distinct_names",
    "expanded",
    "held",
    "holding_output",
    "user_path",
    "waited_for",
    "whole_file",
    "whole_folder",
]
