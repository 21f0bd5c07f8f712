"""Builds the fused kernel for everything that can be asked of it; run by `test_fused_transport` and by hand.

``python tests/transport/compile_matrix.py``: Triton reads the kernel under every combination of solver, plan, gradient
and ends, with types, shapes and strides taken in turn, and compiles some of them to the end for each compute
capability. ``--all``: types, shapes and strides combined with everything too, and more compiled (an hour).
No GPU is needed. Another version of Triton: ``pip install --no-deps --target FOLDER triton==3.6.0``, and FOLDER first
in ``PYTHONPATH``.
"""

from __future__ import annotations

import itertools
import sys

import torch
import triton
from kernel_builds import Case, compiled, read

from hf_optical.transport import IPOT, Sinkhorn

SOLVERS = [
    Sinkhorn(),
    Sinkhorn(tolerance=1e-3),
    Sinkhorn(tolerance=1e-3, relaxation=1.7),
    Sinkhorn(relaxation=1.7),
    IPOT(),
    IPOT(tolerance=1e-3),
    IPOT(inner_iterations=3, relaxation=1.6),
    IPOT.near_exact(),
]
FULL, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16
TYPES = [(FULL, FULL), (HALF, HALF), (BRAIN, FULL), (BRAIN, BRAIN), (FULL, HALF), (BRAIN, HALF)]
SHAPES = [((16, 16), 384, True), ((1, 33), 40, False), ((17, 5), 385, False), ((33, 1), 8, False)]
ON_OFF = list(itertools.product((True, False), repeat=3))
SWITCHES = [dict(zip(("plan", "gradient", "ends"), on, strict=True)) for on in ON_OFF]
CAPABILITIES = (75, 80, 86, 89, 90)


def asked(everything: bool) -> list[Case]:
    """Every combination of solver and switches; types and shapes in turn, or all of them."""
    pairs = list(itertools.product(TYPES, SHAPES))
    cases = []
    for place, (solver, on) in enumerate(itertools.product(SOLVERS, SWITCHES)):
        # A step that shares no divisor with the number of combinations meets each of them.
        for types, (tokens, width, whole) in pairs if everything else [pairs[5 * place % len(pairs)]]:
            cases.append(Case(solver, tokens, types, **on, width=width, whole=whole))
    return cases


def to_the_end(everything: bool) -> list[Case]:
    """What is compiled to machine code: every switch, type and shape with every capability at least once."""
    plain = [one for one in SOLVERS if not one.tolerance]
    rounds = len(SWITCHES) if everything else 2
    cases = []
    for turn, capability in itertools.product(range(rounds), CAPABILITIES):
        place = turn * len(CAPABILITIES) + capability
        tokens, width, whole = SHAPES[place % len(SHAPES)]
        case = Case((SOLVERS if everything else plain)[place % len(SOLVERS if everything else plain)], tokens)
        types = [pair for pair in TYPES if capability >= 80 or BRAIN not in pair]  # as `fitted` has it
        case = case._replace(types=types[place % len(types)], width=width, whole=whole, capability=capability)
        cases.append(case._replace(**{**SWITCHES[place % len(SWITCHES)], "plan": turn % 2 == 0}))
    return cases


if __name__ == "__main__":
    everything = "--all" in sys.argv
    for build, cases in ((read, asked(everything)), (compiled, to_the_end(everything))):
        for case in cases:
            try:
                build(case)
            except Exception as error:
                raise SystemExit(f"Triton {triton.__version__}, {build.__name__}, {case}: {error}") from error
        print(f"Triton {triton.__version__}: {len(cases)} cases {build.__name__}")  # noqa: T201
    print("all good")  # noqa: T201
