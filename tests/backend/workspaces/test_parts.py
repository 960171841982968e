"""What needs no host: folders, names, ports, services of contexts, scripts."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from backend.config import Config, Context, HostConfig, RuntimeOptions, load
from backend.config.schema import Service
from backend.engine.execs import ExecResult
from backend.errors import ActionFailed, ConfigError, NoSuchTarget, UsageError
from backend.recipes.model import Kind, Recipe
from backend.workspaces import folders, inside, kept, making, services
from backend.workspaces.inside import Place
from backend.workspaces.services import SERVICES_LABEL, WORKSPACE_LABEL


def recipe(folder: Path, name: str = "cookie", **more) -> Recipe:
    return Recipe(
        name=name, kind=Kind.WORKSPACE, folder=folder, root=folder.parent, images=("me/x:1",), **more
    )


def context(name: str = "cookie", host: str = "h1", **labels: str) -> Context:
    options = RuntimeOptions(labels={key.replace("_", "."): value for key, value in labels.items()})
    return Context(name=name, host=host, image="me/x:1", container=name, options=options)


def test_run_data_is_made_with_its_rules_and_nothing_is_written_over(tmp_path):
    (tmp_path / "run-data/generated").mkdir(parents=True)
    (tmp_path / "run-data/generated/README.md").write_text("mine")
    made = folders.make(tmp_path)
    assert sorted(path.name for path in made) == ["downloaded", "src", "uploadable"]
    assert (tmp_path / "run-data/generated/README.md").read_text() == "mine"
    for name in ("downloaded", "uploadable", "src"):
        assert folders.RULES[name] in (tmp_path / "run-data" / name / "README.md").read_text()
    assert folders.make(tmp_path / "run-data") == []
    (tmp_path / "other").write_text("a file")
    with pytest.raises(ActionFailed, match="other"):
        folders.make(tmp_path / "other")


def test_run_data_is_at_the_same_place_below_both_homes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    own = recipe(tmp_path / "flow/run-data/src/cookie")
    assert folders.place(own, "", local=False) == "~/flow/run-data"
    assert folders.place(own, "", local=True) == str(tmp_path / "flow/run-data")
    assert folders.place(own, "/big/data/", local=False) == "/big/data"
    assert "pushdir flow/run-data/src/cookie --host h1" in folders.bringing(own, "h1", "~/flow/run-data")
    assert "/big/data" in folders.bringing(own, "h1", "/big/data")
    with pytest.raises(UsageError, match="no place on a host"):
        folders.place(own, "data", local=False)
    with pytest.raises(UsageError, match="does not lie"):
        folders.place(recipe(tmp_path / "cookie"), "", local=False)
    monkeypatch.setenv("HOME", "/elsewhere")
    assert folders.place(own, "", local=False) == "~/flow/run-data"


def test_contexts_get_names_that_containers_can_have():
    config = Config(
        directory=Path("/x"), hosts=(HostConfig(name="h1", host="h1"),), contexts=(context("one"),)
    )
    named = lambda name, said="": making.name_for(config, recipe(Path("/r/a"), name), "h1", said)  # noqa: E731
    assert named("cookie") == "cookie"
    assert named("one") == "one-h1"
    assert named("x") == "x-workspace"
    assert named("Žá b;$(id)") == "b-id"
    with pytest.raises(UsageError, match="exists already"):
        named("two", "one")


def test_the_context_of_a_workspace_is_found_by_its_label():
    own = context("mine", "h2", **{WORKSPACE_LABEL: "cookie"})
    config = Config(directory=Path("/x"), contexts=(context("cookie", "h2"), own))
    assert making.existing(config, "cookie", "h2") == own
    assert making.existing(config, "cookie", "h1") is None
    assert making.existing(config, "cookie", "h2", "other") is None


@pytest.mark.parametrize(
    ("said", "found", "wanted"),
    [
        ("", 2, "all"),
        ("", 0, None),
        ("none", 2, None),
        ("all", 0, "all"),
        ("2", 8, 2),
        ("0,3", 8, ["0", "3"]),
    ],
)
def test_gpus_are_all_unless_something_else_is_said(said, found, wanted):
    assert making.gpus(said, found) == wanted


def test_what_is_no_number_of_gpus_is_refused():
    with pytest.raises(UsageError, match="many"):
        making.gpus("many", 2)


def test_ports_that_listen_are_read_from_the_kernel_s_table():
    table = (
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:22B8 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:22B9 0100007F:1F90 01 00000000:00000000\n"
        "   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0\n"
        "   3: rubbish 0 0A\n   4: a:zzzz b 0A c\n"
    )
    assert making.listening(table) == {0x22B8, 0x1F90}


def test_a_context_has_the_usual_services_and_those_of_its_recipe():
    declared = {"web": Service(command=("a", "{port}"), port=1), "jupyter": Service(command=("own",), port=2)}
    found = services.of(context(**{SERVICES_LABEL: services.label(declared)}))
    assert set(found) == {"web", "jupyter", "lab", "airflow", "tensorboard"} and found["jupyter"].command == (
        "own",
    )
    assert services.label({}) == ""
    with pytest.raises(NoSuchTarget, match="has no service"):
        services.find(context(), "web")
    with pytest.raises(UsageError, match="cannot be read"):
        services.of(context(**{SERVICES_LABEL: "{"}))
    hostile = context(**{SERVICES_LABEL: services.label({"../x": declared["web"]})})
    with pytest.raises(UsageError, match="cannot be called"):
        services.find(hostile, "../x")


def test_only_the_named_braces_are_filled():
    assert services.filled("{port} {x} {{token}}", {"port": "1", "token": "t"}) == "1 {x} {t}"


def test_who_is_opened_with_a_token():
    assert services.wants_token("jupyter", services.usual()["jupyter"])
    assert services.wants_token("web", Service(command=("sh", "-c", "x $BERTH_TOKEN"), port=1))
    assert not services.wants_token("tensorboard", services.usual()["tensorboard"])


def test_a_token_is_kept_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    assert kept.token(context("a b/../c"), "web") == ""
    kept.keep(context("a b/../c"), "web", "secret")
    assert kept.token(context("a b/../c"), "web") == "secret"
    url = kept.page(context(), "web", 'http://127.0.0.1:1/?token=x&"<script>')
    assert url.startswith("file://") and "<script>" not in Path(url.removeprefix("file://")).read_text()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2 and all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    assert all(path.parent == tmp_path / "services" for path in files)


@pytest.mark.parametrize("said", [b"", b"rubbish", b"runs x y", b"runs 1 2 to ken", b"free 8888 now"])
async def test_an_answer_that_is_none_is_an_error(said):
    class Engine:
        async def exec(self, *_, **__):
            from backend.engine.execs import ExecResult

            return ExecResult(0, said, b"")

    place = inside.Place(context(), "web", Service(command=("x",), port=1), "c1")
    with pytest.raises(ActionFailed, match="cannot be asked"):
        await inside.begin(Engine(), place)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_the_scripts_are_plain_sh(shell):
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"no {shell}")
    for name in ("boot", "ready", "service", "jupyter", "airflow", "tensorboard"):
        done = subprocess.run([*shell.split(), "-n"], input=services.script(name), text=True, check=False)
        assert done.returncode == 0, name


def test_a_recipe_that_is_no_workspace_or_has_no_image_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no workspace"):
        making.workspace(msgspec.structs.replace(recipe(tmp_path), kind=Kind.DOCKERFILE))
    with pytest.raises(ActionFailed, match="no image"):
        making.workspace(msgspec.structs.replace(recipe(tmp_path), images=()))


def test_a_person_is_root_inside_where_the_engine_has_no_rights_of_root():
    from backend.workspaces.running import user_inside

    assert user_inside({"SecurityOptions": ["name=seccomp,profile=default"]}, "5001:5001") == "5001:5001"
    assert user_inside({"Rootless": True}, "5001:5001") == "0:0"  # Podman
    assert user_inside({"SecurityOptions": ["name=seccomp", "name=rootless"]}, "5001:5001") == "0:0"  # Docker
    assert user_inside({"SecurityOptions": None}, "1:1") == "1:1"


def test_jupyter_that_was_started_by_hand_is_found_with_its_token(tmp_path):
    runtime = tmp_path / "jupyter" / "runtime"
    runtime.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, pid = server.getsockname()[1], os.getpid()
        told = {"base_url": "/", "pid": 999999999, "port": port, "token": "dead"}
        (runtime / "jpserver-1.json").write_text(json.dumps(told, indent=2))
        (runtime / "jpserver-2.json").write_text(
            json.dumps({**told, "pid": pid, "token": "abc123"}, indent=2)
        )

        def find(name: str) -> str:
            argv = ["sh", "-c", services.script("service"), "berth-service", "find", name, str(port)]
            env = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
            return subprocess.run(argv, capture_output=True, text=True, check=True, env=env).stdout.strip()

        assert find("jupyter") == f"runs {pid} {port} abc123"
        assert find("web") == f"free {port + 1}"


class Here:
    """An engine whose containers are this machine."""

    async def exec(self, _, argv, *, env=None, **__):
        told = {**os.environ, **(env or {})}
        child = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1, env=told)
        out, err = await child.communicate()
        return ExecResult(child.returncode, out, err)


async def test_what_starts_slowly_says_so_and_nobody_is_sent_there_before_it_listens(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(inside, "_SAY", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    go = tmp_path / "go"
    wait = f"echo loading the model; until [ -e {go} ]; do sleep 0.05; done; "
    wait += "exec python3 -m http.server $BERTH_PORT"
    place = Place(context(), f"slow-{port}", Service(command=("sh", "-c", wait), port=port), "c1")
    said: dict[str, list[str]] = {"first": [], "second": []}
    first = asyncio.create_task(inside.begin(Here(), place, told=said["first"].append))
    try:
        await until(lambda: any(line.endswith(" s: loading the model") for line in said["first"]))
        assert said["first"][0] == f"starting {place.name} in cookie; waiting until it listens on port {port}"
        second = asyncio.create_task(inside.begin(Here(), place, told=said["second"].append))
        await until(lambda: any("is starting in cookie already" in line for line in said["second"]))
        assert not first.done() and not second.done()
        go.touch()
        one, two = await first, await second
        socket.create_connection(("127.0.0.1", one.port), 10).close()
        assert (one.new, two.new, one.pid, one.port) == (True, False, two.pid, two.port)
        third = await inside.begin(Here(), place, told=said["second"].append)
        assert third.pid == one.pid and "already" in said["second"][0]
    finally:
        go.touch()
        await asyncio.gather(first, return_exceptions=True)
        await inside.end(Here(), place)
        shutil.rmtree(f"/tmp/berth-{os.getuid()}/{place.name}")


async def until(true):
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


def test_lab_is_a_page_of_the_same_jupyter():
    place = Place(context(), "lab", services.usual()["lab"], "c1")
    assert place.process == "jupyter" and place.service.path == "/lab"
    assert services.wants_token("lab", place.service)


def test_a_context_says_what_is_opened_with_it_and_how_it_is_started(tmp_path):
    (tmp_path / "contexts").mkdir()
    file = tmp_path / "contexts" / "train.yaml"
    front = "host: local\nimage: x\n"
    file.write_text(
        front
        + "services:\n  ray: {port: 8265}\n  jupyter: {command: [own, '{port}'], port: 9, ready: /api}\n"
        "tunnels: [jupyter, '9000:ray', 6006, '8080:80']\n"
    )
    found = load(tmp_path).context("train")
    assert found.tunnels == ("jupyter", "9000:ray", "6006", "8080:80")
    assert services.of(found)["ray"] == Service(port=8265)
    assert services.of(found)["jupyter"] == Service(command=("own", "{port}"), port=9, ready="/api")
    for bad in ("tunnels: [a b]", "tunnels: [0]", "tunnels: ['1:2:3']", "tunnels: [99999]",
                "services: {x: {path: /}}", "services: {'../x': {port: 1}}"):  # fmt: skip
        file.write_text(front + bad)
        with pytest.raises(ConfigError, match=r"train\.yaml:3"):
            load(tmp_path)
