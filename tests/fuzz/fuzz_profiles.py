"""How many examples the fuzzing tries: 500 in all in the profile ``ci``, 20,000 in ``nightly``.

``HYPOTHESIS_PROFILE=nightly python -m pytest tests/fuzz`` selects; ``ci`` is the default, and always the same examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

TOTAL = {"ci": 500, "nightly": 20_000}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
_OPTIONS: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}
settings.register_profile("ci", derandomize=True, database=None, **_OPTIONS)
settings.register_profile("nightly", derandomize=False, **_OPTIONS)
shares: dict[str, int] = {}


def fuzz(percent: int, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``given``, with a share of the profile's examples.

    Args:
        percent: Of all examples; the tests of the folder share 100.
        **strategies: As for ``given``.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        shares[test.__qualname__] = percent
        name = PROFILE if PROFILE in TOTAL else "ci"
        return settings(settings.get_profile(name), max_examples=TOTAL[name] * percent // 100)(
            given(**strategies)(test)
        )

    return decorate
