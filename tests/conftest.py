"""What every test may ask for."""

from __future__ import annotations

import signal
import sys
from typing import Any

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers", "tests.book", "tests.quick_start", "tests.files_com"]


def pytest_configure(config: Any) -> None:
    """Let a terminated run end like an interrupted one, so that it stops its servers; take a slow machine as it is."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored by what it starts with "&"
    calm = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    settings.register_profile("calm", deadline=None, suppress_health_check=calm)
    settings.load_profile("calm")
