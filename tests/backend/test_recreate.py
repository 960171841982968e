"""What an engine says of a container -> the request for its equal, and what is different in it. Pure."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine import cdi
from backend.errors import EngineError, UsageError
from backend.recreate.changes import Changes, apply, give_gpus, port
from backend.recreate.request import equal_to, first_network, target_of

IMAGE = {
    "Id": "sha256:1",
    "Config": {
        "Env": ["PATH=/bin", "LANG=C"],
        "Cmd": ["sh"],
        "Entrypoint": None,
        "Labels": {"maker": "acme", "both": "image"},
        "WorkingDir": "/image",
        "ExposedPorts": {"80/tcp": {}},
        "User": "",
    },
}


def container(**config: Any) -> dict[str, Any]:
    """What `docker inspect` says, as far as it matters."""
    host = config.pop("HostConfig", {})
    return {
        "Id": "0123456789abcdef" * 4,
        "Name": "/web",
        "Image": "sha256:1",
        "Config": {
            "Image": "img:1",
            "Hostname": "0123456789ab",
            "Env": ["PATH=/bin", "LANG=C"],
            "Cmd": ["sh"],
            "Labels": {"maker": "acme", "both": "image"},
            "WorkingDir": "/image",
            "ExposedPorts": {"80/tcp": {}},
            "User": "",
            **config,
        },
        "HostConfig": {"NetworkMode": "default", "Binds": None, **host},
    }


def test_what_is_only_the_images_is_left_to_the_image():
    body = equal_to(container(), IMAGE)
    assert body == {
        "Image": "img:1",
        "Env": [],
        "Labels": {},
        "HostConfig": {"NetworkMode": "default", "Binds": [], "Ulimits": []},
    }


def test_what_is_the_containers_own_is_kept():
    own = {
        "Env": ["PATH=/bin", "LANG=de", "A=$x 'y'\n"],
        "Labels": {"maker": "acme", "both": "mine", "berth.owner": "alice"},
        "Cmd": ["sleep", "1d"],
        "WorkingDir": "/mine",
        "User": "alice",
        "Hostname": "box",
        "Tty": True,
        "OpenStdin": True,
        "StopTimeout": 3,
    }
    body = equal_to(container(**own), IMAGE)
    for key in ("Cmd", "WorkingDir", "User", "Hostname", "Tty", "OpenStdin", "StopTimeout"):
        assert body[key] == own[key]
    assert body["Env"] == ["LANG=de", "A=$x 'y'\n"]
    assert body["Labels"] == {"both": "mine", "berth.owner": "alice"}
    assert "ExposedPorts" not in body


def test_without_its_image_everything_is_the_containers():
    body = equal_to(container(), None)
    assert body["Env"] == ["PATH=/bin", "LANG=C"] and body["Cmd"] == ["sh"]
    assert body["WorkingDir"] == "/image"


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "made"),
    [
        (["/run"], ["sh"], {"Entrypoint": ["/run"], "Cmd": ["sh"]}),
        (["/run"], None, {"Entrypoint": ["/run"], "Cmd": None}),
        (None, ["other"], {"Cmd": ["other"]}),
        (None, ["sh"], {}),
    ],
)
def test_entrypoint_and_command(entrypoint: Any, cmd: Any, made: dict[str, Any]):
    body = equal_to(container(Entrypoint=entrypoint, Cmd=cmd), IMAGE)
    assert {key: body[key] for key in ("Entrypoint", "Cmd") if key in body} == made


def test_an_entrypoint_that_was_taken_away_stays_away():
    image = {"Config": {"Entrypoint": ["/run"], "Cmd": ["x"]}}
    body = equal_to(container(Entrypoint=None, Cmd=["sh"]), image)
    assert (body["Entrypoint"], body["Cmd"]) == ([""], ["sh"])  # an empty word resets the image's


def test_volumes_that_nobody_named_are_mounted_by_name():
    found = container(HostConfig={"Binds": ["/a:/data"], "Mounts": [{"Target": "/m", "Type": "volume"}]})
    found["Mounts"] = [
        {"Type": "volume", "Name": "f" * 8, "Destination": "/var", "RW": False},
        {"Type": "volume", "Name": "named", "Destination": "/m", "RW": True},
        {"Type": "bind", "Source": "/a", "Destination": "/data", "RW": True},
    ]
    assert equal_to(found, IMAGE)["HostConfig"]["Binds"] == ["/a:/data", "ffffffff:/var:ro"]


def test_networks_keep_what_was_configured_and_the_first_request_names_one():
    found = container(HostConfig={"NetworkMode": "front"})
    found["NetworkSettings"] = {
        "Networks": {
            "back": {"IPAddress": "10.0.0.2", "Aliases": ["0123456789ab"], "NetworkID": "x"},
            "front": {"Aliases": ["0123456789ab", "www"], "IPAMConfig": {"IPv4Address": "10.1.0.9"}},
        }
    }
    body = equal_to(found, IMAGE)
    assert first_network(body) == (("back", {}),)
    only = {"front": {"Aliases": ["www"], "IPAMConfig": {"IPv4Address": "10.1.0.9"}}}
    assert body["NetworkingConfig"] == {"EndpointsConfig": only}
    assert first_network({"HostConfig": {}}) == ()


def test_podmans_names_of_limits_are_dockers():
    found = container(HostConfig={"Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 1, "Hard": 2}]})
    assert equal_to(found, IMAGE)["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]


def test_the_id_that_podman_gives_as_host_name_does_not_come_along():
    env = ["HOSTNAME=0123456789ab", "A=1", "PATH=/bin"]
    assert equal_to(container(Env=env), IMAGE)["Env"] == ["A=1"]
    assert equal_to(container(Env=["HOSTNAME=mine"]), IMAGE)["Env"] == ["HOSTNAME=mine"]


# ---------------------------------------------------------------------------------------- changes


def body(**host: Any) -> dict[str, Any]:
    return {"Image": "img:1", "Env": ["A=1", "B=2"], "HostConfig": {"Binds": ["/a:/data:ro"], **host}}


def changed(before: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    made = before or body()
    apply(made, Changes(**changes), "/home/alice")
    return made


def test_nothing_wanted_changes_nothing():
    before = body()
    made = changed(copy.deepcopy(before))
    assert made["HostConfig"].pop("PortBindings") == {}
    assert made == before


def test_a_mount_takes_the_place_of_the_one_at_its_target():
    host = changed(mounts=("~/x y:/data/", "vol:/v:ro,z", "~:/home"))["HostConfig"]
    assert host["Binds"] == ["/home/alice/x y:/data/", "vol:/v:ro,z", "/home/alice:/home"]
    of_any_kind = body(Mounts=[{"Target": "/m"}, {"Target": "/n"}], Tmpfs={"/t": "size=1m"})
    host = changed(of_any_kind, unmount=("/m/", "/t", "/data"))["HostConfig"]
    assert host == {"Binds": [], "Mounts": [{"Target": "/n"}], "Tmpfs": {}, "PortBindings": {}}


BAD_MOUNTS = ["", "x", "/x", "/x:y", "rel/x:/y", "--rm:/y", "$(id):/y", "/x:/y:ro;id", "/x:/y:", "/x\0:/y"]


@pytest.mark.parametrize("mount", BAD_MOUNTS)
def test_what_is_no_mount(mount: str):
    with pytest.raises(UsageError, match="is not a mount"):
        changed(mounts=(mount,))


def test_what_is_not_there_cannot_be_taken_away():
    with pytest.raises(UsageError, match="nothing is mounted at /nowhere"):
        changed(unmount=("/nowhere",))
    with pytest.raises(UsageError, match="81 is not published"):
        changed(unpublish=("81",))


@pytest.mark.parametrize(
    ("spec", "inside", "address", "outside"),
    [
        ("8888", "8888/tcp", "127.0.0.1", "8888"),
        ("9000:80", "80/tcp", "127.0.0.1", "9000"),
        ("0.0.0.0:9000:80/udp", "80/udp", "0.0.0.0", "9000"),
        ("[::1]:9000:80", "80/tcp", "::1", "9000"),
    ],
)
def test_ports_are_of_this_host_alone_unless_said_otherwise(
    spec: str, inside: str, address: str, outside: str
):
    assert port(spec) == (inside, {"HostIp": address, "HostPort": outside})


@pytest.mark.parametrize(
    "spec", ["", "0", "65536", "-1", "a", "1:b", "1:2:3", "x:1:2", "1:2/icmp", "¹:2", "[::1:2:3", "1 :2"]
)
def test_what_is_no_port(spec: str):
    with pytest.raises(UsageError, match="is not a port mapping"):
        port(spec)


def test_ports_are_added_and_taken_away():
    there = {"80/tcp": [{"HostIp": "", "HostPort": "80"}], "53/udp": [{"HostIp": "", "HostPort": "53"}]}
    made = changed(body(PortBindings=there), unpublish=("53/udp",), publish=("81:80", "82"))
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "80"}, {"HostIp": "127.0.0.1", "HostPort": "81"}],
        "82/tcp": [{"HostIp": "127.0.0.1", "HostPort": "82"}],
    }
    assert made["ExposedPorts"] == {"80/tcp": {}, "82/tcp": {}}
    moved = changed(body(PortBindings=there), unpublish=("80",), publish=("81:80",))
    assert moved["HostConfig"]["PortBindings"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "81"}]


def test_variables_are_set_and_taken_away_also_the_images():
    made = changed(env=("B=3", "C=x=y", "D="), unset=("A", "LANG"))
    assert made["Env"] == ["A", "B=3", "LANG", "C=x=y", "D="]  # a name alone takes it away
    for wrong in ("A", "=x", "", "\0=x"):
        with pytest.raises(UsageError):
            changed(env=(wrong,))


def test_gpus_are_replaced_and_nothing_else_is():
    before = body(
        DeviceRequests=[{"Capabilities": [["gpu"]], "Count": -1}, {"Driver": "fpga"}],
        Devices=[
            {"PathOnHost": "/dev/kfd"},
            {"PathOnHost": "/dev/dri/renderD128"},
            {"PathOnHost": "/dev/snd"},
        ],
        GroupAdd=["44"],
    )
    before["Env"] = ["NVIDIA_VISIBLE_DEVICES=0", "A=1", "ROCR_VISIBLE_DEVICES=1"]
    one = {"DeviceRequests": [{"Capabilities": [["gpu"]], "DeviceIDs": ["GPU-1"]}], "GroupAdd": ["44", "109"]}
    give_gpus(before, one)
    host = before["HostConfig"]
    assert host["DeviceRequests"] == [{"Driver": "fpga"}, one["DeviceRequests"][0]]
    assert host["Devices"] == [{"PathOnHost": "/dev/snd"}] and host["GroupAdd"] == ["44", "109"]
    assert before["Env"] == ["A=1"]
    give_gpus(before, {})
    assert host["DeviceRequests"] == [{"Driver": "fpga"}] and host["Devices"] == [{"PathOnHost": "/dev/snd"}]


@pytest.mark.parametrize("ids", [["GPU-1", "GPU-2"], None])
def test_podman_is_asked_for_gpus_in_its_own_words_or_not_at_all(ids: Any):
    wanted = {"HostConfig": {"DeviceRequests": [{"Driver": "", "Capabilities": [["gpu"]], "DeviceIDs": ids}]}}
    before = copy.deepcopy(wanted)
    assert cdi.asked(wanted) and not cdi.asked({"HostConfig": {}}) and not cdi.asked({})
    (made,) = cdi.named(wanted, "5.10.1", "p1")["HostConfig"]["DeviceRequests"]
    names = [f"nvidia.com/gpu={each}" for each in ids or ["all"]]
    assert made == {"Driver": "cdi", "DeviceIDs": names} and wanted == before
    for version in ("4.3.1", "5.3.2", "", "x"):
        with pytest.raises(EngineError, match="gives no GPUs") as caught:
            cdi.named(wanted, version, "p1")
        assert "nvidia.com/gpu=all" in caught.value.hint


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(mount=texts, spec=texts, pair=texts)
def test_any_words_are_taken_or_refused(mount: str, spec: str, pair: str):
    for changes in ({"mounts": (mount,)}, {"publish": (spec,)}, {"env": (pair,)}, {"unmount": (mount,)}):
        made = body()
        try:
            apply(made, Changes(**changes), "/home/alice")
        except UsageError:
            continue
        assert json.loads(json.dumps(made)) == made
        assert all(target_of(bind).startswith("/") for bind in made["HostConfig"]["Binds"])
