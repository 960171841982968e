"""The images section on real hosts: told once somebody asks, then after each event, and never polled."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.lab


def tags(report) -> set[str]:
    """Names, as Docker writes them."""
    return {tag.removeprefix("localhost/") for image in report.images for tag in image.tags}


@pytest.mark.parametrize("name", ["dock", "pod"])
def test_images_are_told_when_asked_for_and_after_what_changes_them(lab, agents, name):
    host = lab.host(name)
    agent = agents(host)
    agent.wait("containers")
    agent.wait("host", lambda stats: stats.cpu_percent is not None)
    assert "images" not in agent.latest, "nobody asked"
    agent.send({"cmd": "images"})
    before = agent.wait("images", lambda report: report.images)
    assert not before.error
    assert any("busybox" in tag for tag in tags(before))
    assert all(image.size and image.created_at for image in before.images)
    try:
        host.docker("tag", "busybox:latest", "test/other:1")
        agent.wait("images", lambda report: "test/other:1" in tags(report))
        host.docker("rmi", "test/other:1")
        agent.wait("images", lambda report: "test/other:1" not in tags(report))
        host.docker("build", "-q", "-t", "test/built:1", "-", data=b"FROM busybox:latest\nLABEL who=me\n")
        report = agent.wait("images", lambda report: "test/built:1" in tags(report))
        built = next(image for image in report.images if any("built:1" in tag for tag in image.tags))
        assert built.labels["who"] == "me"
        host.docker("run", "--name", "grown", "busybox:latest", "touch", "/x")
        host.docker("commit", "grown", "test/grown:1")
        agent.wait("images", lambda report: "test/grown:1" in tags(report))
    finally:
        for image in ("test/other:1", "test/built:1", "test/grown:1"):
            host.docker("rmi", "-f", image, check=False)
    agent.wait("images", lambda report: not any(tag.startswith("test/") for tag in tags(report)))
    assert agent.faults == []


def test_images_are_told_again_when_the_engine_comes_back(lab, agents):
    host = lab.host("dock")
    agent = agents(host)
    agent.send({"cmd": "images"})
    agent.wait("images", lambda report: report.images)
    host.stop_engine()
    agent.wait("engine", lambda engine: engine.state.value in ("down", "missing"))
    assert agent.latest["images"].images, "what was known stays"
    host.start_engine()
    host.docker("tag", "busybox:latest", "test/again:1")
    try:
        agent.wait("images", lambda report: "test/again:1" in tags(report))
    finally:
        host.docker("rmi", "test/again:1")


def test_a_hanging_engine_is_waited_for_and_its_images_stay(lab, agents):
    host = lab.host("dock")
    agent = agents(host)
    agent.send({"cmd": "images"})
    known = agent.wait("images", lambda report: report.images)
    host.hang_engine()
    try:
        agent.wait("engine", lambda engine: engine.state.value == "hung")
        agent.send({"cmd": "images"})
        agent.wait_more("host", 3)
        assert agent.latest["images"].images == known.images
    finally:
        host.thaw_engine()
    agent.wait("engine", lambda engine: engine.state.value == "up")
