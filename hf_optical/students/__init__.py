"""Students: query encoders whose vectors are in the teacher's space.

`grow_student` makes a student from the teacher itself, `adapt_student` from another encoder, and `build_student`
chooses between the two by its first argument (the recipes' ``--student``). `initialise_from_bitext` initializes the
embedding rows of a grown student.
"""

from __future__ import annotations

from hf_optical.students.adapt import adapt_student
from hf_optical.students.bitext_init import initialise_from_bitext
from hf_optical.students.build import build_student
from hf_optical.students.grow import grow_student
from hf_optical.students.start import starting_student

__all__ = ["adapt_student", "build_student", "grow_student", "initialise_from_bitext", "starting_student"]
