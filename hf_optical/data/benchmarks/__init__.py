"""Retrieval sets of the literature, by name or Hub id, in the project's one layout.

A set is read from where its authors published it, or from a local copy of that, and written once, as a folder that
:mod:`hf_optical.data.retrieval` reads, into a cache. No remote code is run: sets that a loading script serves are read
from their data files.
"""

from hf_optical.data.benchmarks.resolve import Reference, cache_folder, parse_reference, retrieval_folder
from hf_optical.data.benchmarks.sets import SETS, LiteratureSet

__all__ = ["SETS", "LiteratureSet", "Reference", "cache_folder", "parse_reference", "retrieval_folder"]
