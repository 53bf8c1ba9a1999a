"""Where recorded data lies, the compiled-kernel cache every test shares, and that no property is
false because the machine is slow.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ops import cache

cache.use()

settings.register_profile(  # the same draws in every run; ARB_TEST_EXPLORE=1: others
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="ARB_TEST_EXPLORE" not in os.environ,
)
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent
_SHARED = ROOT.parent / "shared"
DATA = Path(os.environ.get("ARB_TEST_DATA", _SHARED / "data"))
REFERENCE = Path(os.environ.get("ARB_TEST_REFERENCE", _SHARED / "reference"))


def recorded(name: str) -> Path:
    """A folder of recorded data; the test is skipped with a plain reason where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"recorded data {name} is not on this machine (set ARB_TEST_DATA)")
    return path


def reference(name: str) -> Path:
    """A file of the reference fixtures; skipped where absent."""
    path = REFERENCE / name
    if not path.exists():
        why = f"reference {name} is not on this machine (set ARB_TEST_REFERENCE)"
        pytest.skip(why, allow_module_level=True)  # tables of cases are read at import
    return path
