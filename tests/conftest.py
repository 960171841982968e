"""What all tests share."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.lab.fixtures", "tests.own"]

# No test asserts how long something takes: an example that a busy machine is slow at is no failure.
settings.register_profile("berth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("berth")

# A suite under nohup or in the background of a script (`make test &`) was started with these ignored, and
# would hand that on to every program that is tested: Ctrl+C would then end none of them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: several workers then end at about the same time.

    What a test may take (its `timeout` mark) says roughly what it does take; one of the lab takes seconds,
    any other tenths of one. The order within a file stays.
    """
    weight: Counter[Path] = Counter()
    for item in items:
        limit = item.get_closest_marker("timeout")
        lab = 40 if item.get_closest_marker("lab") else 1
        weight[item.path] += max(lab, limit.args[0] if limit else 0)
    items.sort(key=lambda item: -weight[item.path])
