"""The doorbell wakes the keeper, whatever is sent, and never holds up who rings."""

from __future__ import annotations

import os
import select
import socket
import stat

import pytest

from backend.agent.queue import doorbell, place
from backend.agent.queue.doorbell import Doorbell


def rang(bell: Doorbell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_ringing_wakes(folder):
    bell = Doorbell(folder)
    assert not rang(bell) and not bell.drain()
    doorbell.ring(folder)
    assert rang(bell) and bell.drain() and not rang(bell)
    bell.close()


def test_nobody_has_to_be_there(folder):
    doorbell.ring(folder)
    Doorbell(folder).close()
    doorbell.ring(folder)
    os.unlink(folder.doorbell)
    os.mkdir(folder.doorbell)
    doorbell.ring(folder)
    assert os.listdir(folder.doorbell) == []  # what is no bell is left as it is
    folder.close()
    doorbell.ring(folder)


def test_a_flood_blocks_nobody_and_is_taken_in_one_go(folder):
    bell = Doorbell(folder)
    for _ in range(5000):
        doorbell.ring(folder)
    assert bell.drain() and not rang(bell)
    doorbell.ring(folder)
    assert rang(bell)
    bell.close()


@pytest.mark.parametrize("data", [b"", b"\0" * 60000, b'{"verb": "cancel"}'])
def test_what_is_sent_means_nothing(folder, data):
    bell = Doorbell(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.sendto(data, folder.doorbell)
    assert rang(bell) and bell.drain() and not rang(bell)
    bell.close()


def test_it_is_the_groups_and_replaces_what_is_left(folder):
    Doorbell(folder).close()
    bell = Doorbell(folder)
    found = os.lstat(folder.doorbell)
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o660
    doorbell.ring(folder)
    assert rang(bell)
    bell.close()


def test_a_folder_in_its_place_is_moved_away(folder):
    os.mkdir(folder.doorbell)
    bell = Doorbell(folder)
    doorbell.ring(folder)
    assert rang(bell)
    bell.close()


def test_a_path_longer_than_any_sockets(engine, base, monkeypatch):
    deep = base / ("d" * 120)
    deep.mkdir()
    monkeypatch.setenv(place.ENVIRONMENT, str(deep / "queue"))
    with place.find(engine) as folder:
        bell = Doorbell(folder)
        doorbell.ring(folder)
        assert rang(bell)
        bell.close()
