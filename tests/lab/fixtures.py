"""The lab in pytest: one lab of three hosts for a session, and labs of their own for tests that break things.

Every test that uses one is marked `lab`. Each worker of pytest-xdist has its own; `--dist loadgroup` keeps
all lab tests on one worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.lab import HostSpec, Lab, parts

HOSTS = (
    HostSpec("h1", gpus="nvidia:8"),
    HostSpec("m1", gpus="amd:8"),
    HostSpec("p1", gpus="nvidia:4:A100", engine="podman"),
)
"""The hosts of `lab`: Docker with NVIDIA, Docker with AMD, Podman."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the lab belong together when the suite is spread over workers."""
    for item in items:
        if item.get_closest_marker("lab") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("lab"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where a part of the lab is missing, say which before anything else is tried."""
    if item.get_closest_marker("lab"):
        parts.require()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three hosts for all tests of a session. Leave them as you found them."""
    parts.require()
    with Lab(tmp_path_factory.mktemp("lab") / "lab", HOSTS) as lab:
        yield lab


@pytest.fixture
def new_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """`new_lab(HostSpec("x"), ...)`: a lab of the test's own, to be broken; removed with the test."""
    parts.require()
    with contextlib.ExitStack() as stack:

        def bring_up(*specs: HostSpec) -> Lab:
            directory = tmp_path_factory.mktemp("own") / "lab"
            return stack.enter_context(Lab(directory, specs or (HostSpec("h1"),)))

        yield bring_up
