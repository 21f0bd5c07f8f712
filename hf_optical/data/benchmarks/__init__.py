"""Published retrieval sets, by name or Hub id, converted to the project's layout.

A set is read from the place where its authors published it, or from a local copy, and written once into a cache, as a
folder that :mod:`hf_optical.data.retrieval` reads. No remote code is run: sets with a loading script are read from
their data files.
"""

from hf_optical.data.benchmarks.resolve import Reference, cache_folder, parse_reference, retrieval_folder
from hf_optical.data.benchmarks.sets import SETS, LiteratureSet

__all__ = ["SETS", "LiteratureSet", "Reference", "cache_folder", "parse_reference", "retrieval_folder"]
