"""From a context to a create request, where it is placed, and how far a container is from it."""

from __future__ import annotations

import copy

import pytest

from backend.config import Context, RuntimeOptions
from backend.contexts import create, drift
from backend.contexts.create import HostFacts
from backend.contexts.placement import Placement, choose
from backend.errors import ActionFailed, ConfigError
from backend.model import GpuRow

FACTS = HostFacts(
    home="/home/alice", user="alice", render_nodes={"A0": "/dev/dri/renderD128"}, gpu_groups=(44, 110)
)


def gpu(index: int, *, free: bool = True, node: int | None = 0, vendor: str = "nvidia", **changes) -> GpuRow:
    fields = {
        "host": "h1", "index": index, "uuid": f"GPU-{index}a", "vendor": vendor, "name": "x", "arch": None,
        "util_percent": 0.0, "mem_used": 0, "mem_total": 1, "temp_c": None, "power_w": None,
        "power_limit_w": None, "free": free, "idle_since": None, "numa_node": node,
    }  # fmt: skip
    return GpuRow(**(fields | changes))


def context(**changes) -> Context:
    return Context(**({"name": "work", "host": "h1", "image": "img:1", "container": "box"} | changes))


def made(ctx: Context, placement: Placement | None = None) -> dict:
    return create.request(ctx, placement or Placement(), FACTS, {})


# ------------------------------------------------------------------------------------------- placement


def test_free_gpus_of_one_node_are_preferred_and_small_holes_filled_first():
    rows = [
        gpu(0, free=False),
        gpu(1),
        gpu(2),
        gpu(3),
        gpu(4, node=1),
        gpu(5, node=1),
        gpu(6, node=1, free=False),
    ]
    assert [row.index for row in choose("h1", rows, 2).gpus] == [4, 5]
    found = choose("h1", rows, 3)
    assert ([row.index for row in found.gpus], found.node) == ([1, 2, 3], 0)


def test_gpus_over_nodes_or_not_free_say_so():
    rows = [gpu(0), gpu(1, node=1), gpu(2, node=1, free=False, owners=("bob",))]
    found = choose("h1", rows, 3)
    assert [row.index for row in found.gpus] == [0, 1, 2] and found.node is None
    assert "bob" in " ".join(found.why) and "different NUMA nodes" in " ".join(found.why)


@pytest.mark.parametrize("wanted", [("1",), ("GPU-1a",), "gpu-1", ("1", "GPU-1a", "1")[:1]])
def test_gpus_by_index_or_uuid(wanted):
    assert [row.index for row in choose("h1", [gpu(0), gpu(1)], wanted).gpus] == [1]


@pytest.mark.parametrize(
    ("rows", "wanted", "says"),
    [
        ([], 1, "no GPU that berth can see"), ([gpu(0)], 2, "has 1"), ([gpu(0)], ("7",), "no GPU 7"),
        ([gpu(0), gpu(1)], "GPU-", "2 GPUs of h1"),
    ],
)  # fmt: skip
def test_gpus_that_are_not_there(rows, wanted, says):
    with pytest.raises(ActionFailed, match=says):
        choose("h1", rows, wanted)


@pytest.mark.parametrize("wanted", [None, 0, ()])
def test_no_gpus_wanted(wanted):
    assert choose("h1", [], wanted).gpus == ()


def test_cpuset_auto_takes_the_cpus_of_the_gpus_node():
    rows = [gpu(0, node=1)]
    assert choose("h1", rows, 1, "auto", {0: "0-7", 1: "8-15"}).cpuset == "8-15"
    assert choose("h1", rows, 1, "2-3", {1: "8-15"}).cpuset == "2-3"
    lost = choose("h1", [gpu(0, node=None)], 1, "auto", {0: "0-7"})
    assert lost.cpuset == "" and "not known" in lost.why[-1]


# --------------------------------------------------------------------------------------------- create


def test_nvidia_gpus_are_asked_for_by_uuid_or_all():
    body = made(context(), Placement(gpus=(gpu(1),)))
    assert body["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["GPU-1a"]
    body = made(context(), Placement(gpus=(gpu(1),), all_gpus=True))
    assert body["HostConfig"]["DeviceRequests"][0]["Count"] == -1
    assert "--gpus all" in create.command(body, "box")


def test_amd_gpus_are_devices_groups_and_ptrace():
    placement = Placement(gpus=(gpu(0, vendor="amd", uuid="A0"),))
    create.missing_render_nodes(placement, FACTS)
    host = made(context(), placement)["HostConfig"]
    assert [each["PathOnHost"] for each in host["Devices"]] == ["/dev/kfd", "/dev/dri/renderD128"]
    assert host["GroupAdd"] == ["44", "110"] and "SYS_PTRACE" in host["CapAdd"]
    with pytest.raises(ActionFailed, match="renderD"):
        create.missing_render_nodes(Placement(gpus=(gpu(0, vendor="amd", uuid="other"),)), FACTS)


def test_mounts_ports_limits_and_labels():
    ctx = context(
        mounts=("~/data:/data:ro", "vol:/v"), ports=("127.0.0.1:9999:9999/tcp", "[::1]:53:53/udp"),
        cpus=1.5, memory=2**30, shm_size=2**20, env={"A": "1"}, cpuset="0-3",
        options=RuntimeOptions(ulimits={"nofile": "10:20"}, restart="on-failure:3", devices=("/dev/fuse",)),
    )  # fmt: skip
    body = create.request(ctx, Placement(cpuset="0-3"), FACTS, {"A": "0", "B": "2"})
    host = body["HostConfig"]
    assert host["Binds"] == ["/home/alice/data:/data:ro", "vol:/v"]
    assert host["PortBindings"] == {
        "9999/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9999"}],
        "53/udp": [{"HostIp": "::1", "HostPort": "53"}],
    }
    assert (host["NanoCpus"], host["Memory"], host["ShmSize"]) == (1_500_000_000, 2**30, 2**20)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert sorted(body["Env"]) == ["A=1", "B=2"]
    assert body["Labels"] == {"berth.context": "work", "berth.owner": "alice"}
    assert "Privileged" not in host


def test_the_command_shown_quotes_and_hides_values():
    body = made(context(image="$(rm -rf /)", env={"TOKEN": "hunter2"}, mounts=("/a b:/c",)))
    shown = create.command(body, "--rm")
    assert "hunter2" not in shown and "-e TOKEN" in shown
    assert "'$(rm -rf /)'" in shown and "'/a b:/c'" in shown


def test_env_files_read_as_docker_reads_them():
    assert create.env_file("# c\n\nA=1\nB=a=b # kept\n C=\n", "e") == {"A": "1", "B": "a=b # kept", "C": ""}
    with pytest.raises(ConfigError, match="e:2"):
        create.env_file("A=1\nnonsense", "e")


# ---------------------------------------------------------------------------------------------- drift


def inspected(body: dict) -> dict:
    """What an engine says of a container made by this request, with what engines add."""
    host = {
        "Binds": None,
        "NetworkMode": "default",
        "Runtime": "runc",
        "IpcMode": "private",
        "ShmSize": 67108864,
    }
    return {
        "Config": {"Image": body["Image"], "WorkingDir": "/from-image", "Env": [*body["Env"], "PATH=/bin"]},
        "HostConfig": host | copy.deepcopy(body["HostConfig"]),
    }


def test_a_container_as_its_context_says_does_not_drift():
    body = made(
        context(mounts=("/a:/b",), ports=("127.0.0.1:1:2",), env={"A": "1"}), Placement(gpus=(gpu(1),))
    )
    assert drift.differences(body, inspected(body)) == []


@pytest.mark.parametrize(
    "written", ["img", "img:latest", "localhost/img:latest", "docker.io/library/img:latest"]
)
def test_an_engine_s_longer_name_of_the_image_is_no_drift(written):
    body = made(context(image="img"))
    assert drift.differences(body, inspected({**body, "Image": written})) == []
    assert drift.differences(body, inspected({**body, "Image": "registry.example/img:latest"})) != []


def test_what_podman_writes_of_itself_is_no_drift():
    body = made(context(mounts=("/a:/b:ro", "vol:/v")))
    host = {
        **body["HostConfig"],
        "Binds": ["vol:/v:nosuid,nodev,rbind,rprivate,rw", "/a:/b:ro,rprivate,rbind"],
        "CapDrop": ["CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_NET_RAW"],
        "ShmSize": 65536000,
    }
    assert drift.differences(body, inspected({**body, "HostConfig": host})) == []
    host |= {"Binds": ["vol:/v", "/a:/b"], "CapDrop": ["CAP_MKNOD"]}
    found = drift.differences(body, inspected({**body, "HostConfig": host}))
    assert [each.what for each in found] == ["mounts", "cap_drop"]


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ({"image": "img:2"}, "image"), ({"mounts": ("/x:/b",)}, "mounts"), ({"env": {"A": "2"}}, "env"),
        ({"ports": ("127.0.0.1:1:3",)}, "ports"), ({"memory": 5}, "memory"), ({"network": "host"}, "network"),
    ],
)  # fmt: skip
def test_what_changed_in_the_context_shows(now, what):
    before = {"mounts": ("/a:/b",), "ports": ("127.0.0.1:1:2",), "env": {"A": "1"}}
    found = drift.differences(made(context(**(before | now))), inspected(made(context(**before))))
    assert [row.what for row in found] == [what]


def test_other_gpus_show():
    wanted, has = Placement(gpus=(gpu(1),)), Placement(gpus=(gpu(2),))
    (row,) = drift.differences(made(context(), wanted), inspected(made(context(), has)))
    assert (row.what, row.context, row.container) == ("gpus", "GPU-1a", "GPU-2a")


def test_gpus_given_by_index_are_the_same_gpus():
    body = made(context(), Placement(gpus=(gpu(1),)))
    found = inspected(body)
    found["HostConfig"]["DeviceRequests"] = [{"Count": 0, "DeviceIDs": ["1"]}]
    assert [row.what for row in drift.differences(body, found)] == ["gpus"]
    assert drift.differences(body, drift.by_uuid(found, {"1": "GPU-1a"})) == []
    assert drift.differences(made(context()), drift.by_uuid(inspected(made(context())), {})) == []
