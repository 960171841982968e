"""A short run of what `python -m tests.chaos` does at length: every kind of fault is likely to come."""

from __future__ import annotations

import pytest

from tests.chaos.run import run
from tests.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]


def test_the_queue_under_fire(new_lab):
    lab = new_lab(HostSpec("chaos", gpus="nvidia:8", sshd=False))
    report = run(lab, faults=30, seed=20, patience=90.0, stale=4.5)  # other tests run beside it
    assert report.violations == [], report.text()
    assert report.jobs["completed"] > 10, report.text()
    assert report.marks > 10
