"""What every test may ask for."""

from __future__ import annotations

import signal
import sys
from typing import Any

pytest_plugins = ["tests.servers", "tests.book", "tests.quick_start", "tests.files_com"]


def pytest_configure(config: Any) -> None:
    """Let a terminated run end like an interrupted one, so that it stops its servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
