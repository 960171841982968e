"""The database, whatever is done in whatever order."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backend.agent.queue import place
from backend.agent.queue.errors import MissingError, UsageError
from backend.agent.queue.jobs import (
    ACTIVE,
    ENDED,
    HELD,
    QUEUED,
    WAITING,
    Request,
    job_from,
)
from backend.agent.queue.plan import Start
from backend.agent.queue.store import IllegalError, Store

from .conftest import job


class AnyOrder(RuleBasedStateMachine):
    """Whatever is done in whatever order: states follow the events, and nothing is booked twice."""

    def __init__(self) -> None:
        super().__init__()
        import socket
        import tempfile

        self.base = tempfile.mkdtemp(prefix="bq-", dir="/tmp")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(f"{self.base}/s")
        before = os.environ.get(place.ENVIRONMENT)
        os.environ[place.ENVIRONMENT] = f"{self.base}/q"
        try:
            self.place = place.find(f"{self.base}/s")
        finally:
            if before is None:
                del os.environ[place.ENVIRONMENT]
        self.store = Store.open(self.place)

    def teardown(self) -> None:
        import shutil

        self.store.close()
        self.place.close()
        self.socket.close()
        shutil.rmtree(self.base)

    def _try(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(IllegalError, MissingError, UsageError):
            call()

    numbers = st.integers(1, 6)

    @rule(count=st.integers(1, 2), retries=st.integers(0, 1), held=st.booleans(), gpus=st.integers(0, 1))
    def submit(self, count, retries, held, gpus):
        if sum(self.store.counts().values()) < 6:
            state = HELD if held else QUEUED
            self.store.submit([job(retries=retries, state=state, request=Request(gpus))] * count, "ann")

    @rule(number=numbers, gpu=st.sampled_from("AB"), cpu=st.integers(0, 2))
    def book(self, number, gpu, cpu):
        found = self.store.get(number)
        gpus = (gpu,) if found is not None and found.request.gpus else ()
        self.store.book([Start(number, gpus, (cpu,), 0)], 1.0)

    @rule(number=numbers, attempt=st.integers(1, 3))
    def started(self, number, attempt):
        self._try(lambda: self.store.started(number, attempt, "c", 2.0))

    @rule(number=numbers, attempt=st.integers(1, 3), state=st.sampled_from(sorted(ENDED)))
    def ended(self, number, attempt, state):
        self._try(lambda: self.store.ended(number, attempt, state, 1, "", 3.0))

    @rule(number=numbers, attempt=st.integers(1, 3))
    def unbook(self, number, attempt):
        self._try(lambda: self.store.unbook(number, attempt, "gone"))

    @rule(number=numbers, attempt=st.integers(1, 3))
    def saved(self, number, attempt):
        self._try(lambda: self.store.saved(number, attempt, "/l"))

    @rule(number=numbers, verb=st.sampled_from(("cancel", "hold", "release")))
    def people(self, number, verb):
        self._try(lambda: getattr(self.store, verb)([number], "bob"))

    @rule(number=numbers, where=st.sampled_from(("first", "last", "before", "after")), other=numbers)
    def move(self, number, where, other):
        self._try(lambda: self.store.move(number, where, other, by="bob"))

    @rule(number=numbers, other=numbers)
    def edit(self, number, other):
        self._try(lambda: self.store.edit(number, "bob", after=((other, "ok"),)))

    @rule(number=numbers)
    def retry(self, number):
        self._try(lambda: self.store.retry(number, "bob"))

    @rule()
    def doom(self):
        self.store.doom({1: "never"}, 4.0)

    @invariant()
    def all_is_well(self):
        jobs = [job_from(json.loads(text)) for text in self.store.listing("all")]
        active = [each for each in jobs if each.state in ACTIVE]
        for field in ("gpus", "cpus"):
            held = [one for each in active for one in getattr(each, field)]
            assert len(held) == len(set(held))
        for each in jobs:
            events = self.store.events(each.id)
            assert events[-1]["new"] == each.state and events[-1]["attempt"] == each.attempt
            assert all(a["new"] == b["old"] for a, b in itertools.pairwise(events))
            assert (each.ended_at is not None) == (each.state in ENDED)
            assert each.state not in WAITING or not (each.gpus or each.cpus or each.container)
        remembered = {each.id: each.state for each in self.store.unfinished()}
        assert remembered == {each.id: each.state for each in jobs if each.state not in ENDED}


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
