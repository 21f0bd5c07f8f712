from __future__ import annotations

import importlib

import fuzz_profiles


def test_the_shares_are_those_of_the_whole():
    for name in ("arrivals", "configuration", "losses", "readers", "samplers"):
        importlib.import_module(f"test_fuzz_{name}")
    assert sum(fuzz_profiles.shares.values()) == 100
    assert fuzz_profiles.TOTAL == {"ci": 500, "nightly": 20_000}
