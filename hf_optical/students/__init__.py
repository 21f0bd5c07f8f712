"""Students: query encoders whose vectors are in the teacher's space.

`grow_student` makes one from the teacher itself, `adapt_student` from any other encoder, and `build_student` chooses
between the two by what it is given (the recipes' ``--student``). `initialise_from_bitext` initializes a grown student's
embedding rows.
"""

from __future__ import annotations

from hf_optical.students.adapt import adapt_student
from hf_optical.students.bitext_init import initialise_from_bitext
from hf_optical.students.build import build_student
from hf_optical.students.grow import grow_student
from hf_optical.students.start import starting_student

__all__ = ["adapt_student", "build_student", "grow_student", "initialise_from_bitext", "starting_student"]
