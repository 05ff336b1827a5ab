"""Where the real logs are, for the tests that read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def sample_logs(*parts: str) -> Path:
    """Return a path below GATEBOOK_SAMPLE_LOGS; where there is none, the test is skipped."""
    root = os.environ.get("GATEBOOK_SAMPLE_LOGS")
    if not root or not (path := Path(root, *parts)).exists():
        pytest.skip("the real logs are not here; set GATEBOOK_SAMPLE_LOGS to their folder")
    return path
