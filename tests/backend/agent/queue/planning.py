"""One plan, and what it says."""

from __future__ import annotations

from backend.agent.queue.plan import Limits, plan
from tests.backend.agent.queue.simulate import machine

NOW = 1000.0


def planned(jobs, host=None, limits=None, now=NOW):
    return plan(jobs, host or machine(gpus=4), limits or Limits(), now)


def started(made):
    return [start.job for start in made.starts]


def changed(host, number, **words):
    """The machine with another GPU of that number."""
    gpus = [gpu._replace(**words) if gpu.number == number else gpu for gpu in host.gpus]
    return host._replace(gpus=tuple(gpus))
