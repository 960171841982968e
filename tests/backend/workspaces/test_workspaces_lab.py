"""Workspaces by the real program on a real host: hooks, run-data, shells, services through the connection."""

from __future__ import annotations

import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.backend.terminal.driver import Driven
from tests.backend.workspaces.conftest import SLOW, Held, Repository
from tests.lab import jupyter
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WEB = """\
import os, socket
server = socket.create_server((os.environ["BERTH_ADDRESS"], int(os.environ["BERTH_PORT"])))
while True:
    with server.accept()[0] as peer:
        asked = peer.recv(65536).decode().split()
        ok = len(asked) > 1 and "token=" + os.environ["BERTH_TOKEN"] in asked[1]
        body = "hello from %d" % os.getuid()
        peer.sendall(("HTTP/1.0 %s\\r\\n\\r\\n%s" % ("200 OK" if ok else "403 No", body)).encode())
"""
YAML = """\
base: debian:lab
services:
  web: {command: [sh, -c, 'exec python3 /data/src/cookie/web.py # BERTH_TOKEN'], port: 8123, path: /page}
  dying: {command: [sh, -c, 'echo last words; exit 9'], port: 8124}
"""
JUPYTER = """\
cd /usr/local/bin
printf '#!/bin/sh\\nPYTHONPATH=/opt/site exec python3 -m jupyter_server "$@"\\n' > jupyter-server
chmod 755 jupyter-server
"""


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def cookie(repository: Repository) -> None:
    """As people have it: some hooks empty, some missing, one from Windows."""
    repository.workspace(
        "cookie",
        packages_txt="",
        pre_install=b"#!/bin/sh\r\necho installed > /installed\r\n",
        post_install="",
        pre_run="#!/bin/sh\necho run >> /runs\nid -u > /ran-as\n",
        berth_yaml=YAML,
    )
    (repository.src / "cookie" / "web.py").write_text(WEB)


@pytest.fixture
def running(repository: Repository) -> Repository:
    cookie(repository)
    repository.berth("workspace", "build", "cookie", "--host", "h1")
    repository.berth("workspace", "run", "cookie", "--host", "h1", "--gpus", "none", "--detach")
    repository.berth("pushdir", "flow/run-data/src/cookie", "--host", "h1", "--yes")
    return repository


def test_a_workspace_of_hooks_builds_and_runs_unchanged(repository):
    cookie(repository)
    before = {path: path.read_bytes() for path in repository.src.rglob("*") if path.is_file()}
    said = repository.berth("workspace", "run", "cookie", "--host", "h1", "--detach", code=1)
    assert "berth workspace build cookie --host h1" in said.stderr

    repository.berth("workspace", "build", "cookie", "--host", "h1")
    said = repository.berth("workspace", "run", "cookie", "--host", "h1", "--detach")
    assert "berth pushdir flow/run-data/src/cookie --host h1" in said.stderr
    h1 = repository.lab.host("h1")
    assert h1.docker("exec", "cookie", "cat", "/installed", "/runs", "/ran-as") == "installed\nrun\n0"
    found = json.loads(h1.docker("inspect", "cookie"))[0]
    bindings = found["HostConfig"]["PortBindings"]
    assert {each["HostIp"] for port in bindings.values() for each in port} == {"127.0.0.1"}
    assert set(bindings) == {"8123/tcp", "8124/tcp"}
    assert found["HostConfig"]["DeviceRequests"][0]["Count"] == -1  # all GPUs
    owner = h1.run(["sh", "-c", "id -u; id -g"], user="alice").stdout.split()
    assert f"user: {':'.join(owner)}" in repository.context("cookie")
    data = "/home/alice/flow/run-data"
    assert h1.run(["ls", data]).stdout.split() == ["downloaded", "generated", "src", "uploadable"]
    assert h1.run(["stat", "-c", "%U", f"{data}/src"]).stdout.strip() == "alice"
    h1.docker("exec", "-u", ":".join(owner), "cookie", "touch", "/data/generated/mine")
    assert h1.run(["stat", "-c", "%U", f"{data}/generated/mine"]).stdout.strip() == "alice"

    h1.docker("restart", "-t", "5", "cookie")  # whoever starts it: the hook runs
    wait_for(lambda: h1.docker("exec", "cookie", "cat", "/runs") == "run\nrun", "the hook", seconds=SLOW)
    assert before == {path: path.read_bytes() for path in before}
    rows = json.loads(repository.berth("workspace", "list", "--json").stdout)[0]["data"]
    assert [(row["name"], row["host"], row["state"]) for row in rows] == [("cookie", "h1", "running")]

    repository.berth("workspace", "stop", "cookie", "--yes")
    assert h1.docker("inspect", "-f", "{{.State.Running}}", "cookie") == "false"
    h1.run(["rm", "-rf", data])
    said = repository.berth("workspace", "run", "cookie", "--host", "h1", "--detach")
    assert "it was made now, and is empty" in said.stderr
    assert h1.docker("exec", "cookie", "ls", "/data") == "downloaded\ngenerated\nsrc\nuploadable"


def test_a_hook_that_fails_is_told_and_the_workspace_runs(repository):
    repository.workspace("sad", pre_run="echo no database >&2\nexit 4\n", berth_yaml="base: debian:lab\n")
    repository.berth("workspace", "build", "sad", "--host", "h1")
    said = repository.berth("workspace", "run", "sad", "--host", "h1", "--gpus", "none", "--detach").stderr
    assert "pre-run ended with 4" in said and "no database" in said


def test_a_service_is_opened_found_again_and_ended(running, hold):
    first: Held = hold("workspace", "service", "cookie", "web")
    url = first.url()
    owner = running.lab.host("h1").run(["id", "-u", "alice"]).stdout.strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:8123/page\?token=\S+", url)
    assert fetch(url) == (200, f"hello from {owner}")
    assert fetch(url.partition("?")[0])[0] == 403
    token = url.rpartition("=")[2]

    h1 = running.lab.host("h1")
    assert token not in h1.run(["ps", "-eo", "args"]).stdout  # nobody there reads it off a process
    (kept,) = (running.state / "services").glob("*.token")
    assert kept.read_text().strip() == token and kept.stat().st_mode & 0o777 == 0o600

    second = hold("workspace", "service", "cookie", "web")  # its port is taken here: another one
    other = second.url()
    assert "runs already in" in second.said and "is taken here" in second.said
    assert other != url and other.endswith(token) and fetch(other)[0] == 200
    first.interrupt()
    second.interrupt()
    assert token not in (running.state / "activity.jsonl").read_text()

    third = hold("workspace", "service", "cookie", "web")  # Ctrl+C left it running
    assert fetch(third.url()) == (200, f"hello from {owner}") and third.url().endswith(token)
    running.berth("workspace", "service", "cookie", "web", "--stop")
    assert third.ended() == 1 and "web in cookie on h1 has ended" in third.said
    running.berth("workspace", "service", "cookie", "web", "--stop", code=4)


def test_what_goes_wrong_with_a_service_is_said(running, hold):
    said = running.berth("workspace", "service", "cookie", "dying", code=1).stderr
    assert "exit 9" in said and "last words" in said
    said = running.berth("workspace", "jupyter", "cookie", code=1).stderr
    assert "requirements.txt needs the line: jupyterlab" in said
    said = running.berth("workspace", "service", "cookie", "nothing", code=4).stderr
    assert "web" in said and "tensorboard" in said
    held = hold("workspace", "service", "cookie", "web")
    held.url()
    running.lab.host("h1").docker("stop", "-t", "5", "cookie")
    assert held.ended() == 1
    assert "does not run" in held.said and "berth up cookie" in held.said
    assert "It is stopped" in running.berth("workspace", "jupyter", "cookie", code=4).stderr


def test_a_lost_link_is_waited_for_and_the_same_port_opens_again(running, hold):
    held = hold("workspace", "service", "cookie", "web")
    url = held.url()
    h1 = running.lab.host("h1")
    h1.service("sshd", "kill")
    h1.run(["sh", "-c", "pkill -KILL -u alice sshd; :"])
    wait_for(lambda: "is opened again when it is back" in held.said, "the loss to be told", seconds=SLOW)
    h1.service("sshd", "start")
    wait_for(lambda: "web is open again" in held.said, "the link to be back", seconds=SLOW)
    assert fetch(url)[0] == 200


def test_podman_runs_workspaces_too(repository, hold):
    cookie(repository)
    repository.berth("workspace", "build", "cookie", "--host", "p1")
    repository.berth("workspace", "run", "cookie", "--host", "p1", "--detach")
    repository.berth("pushdir", "flow/run-data/src/cookie", "--host", "p1", "--yes")
    p1 = repository.lab.host("p1")
    assert p1.docker("exec", "cookie", "cat", "/runs", "/ran-as") == "run\n0"
    held = hold("workspace", "service", "cookie", "web")
    assert fetch(held.url())[0] == 200
    p1.docker("stop", "-t", "5", "cookie")
    assert held.ended() == 1 and "does not run" in held.said


def test_the_ports_of_two_workspaces_do_not_meet(running):
    running.workspace("two", berth_yaml=YAML)
    running.berth("workspace", "build", "two", "--host", "h1")
    running.berth("workspace", "run", "two", "--host", "h1", "--gpus", "none", "--detach")
    assert "127.0.0.1:8125:8123" in running.context("two")
    assert running.lab.host("h1").docker("inspect", "-f", "{{.State.Running}}", "two") == "true"


def test_a_port_that_was_taken_meanwhile_is_told_with_what_to_do(running):
    h1 = running.lab.host("h1")
    h1.docker("stop", "-t", "5", "cookie")
    h1.docker("run", "-d", "-p", "127.0.0.1:8123:80", "--name", "thief", "debian:lab", "sleep", "1d")
    said = running.berth("workspace", "run", "cookie", "--host", "h1", "--detach", code=1).stderr
    assert "8123" in said and "berth context edit cookie" in said
    h1.docker("rm", "-f", "thief")
    running.berth("workspace", "run", "cookie", "--host", "h1", "--detach")


def test_a_new_image_makes_the_container_anew(running):
    h1 = running.lab.host("h1")
    hook: Path = running.src / "cookie" / "container" / "post-install"
    hook.write_text("echo second > /second\n")
    running.berth("workspace", "build", "cookie", "--host", "h1")
    said = running.berth("workspace", "run", "cookie", "--host", "h1", "--detach").stderr
    assert "--again makes it anew" in said
    running.berth("workspace", "run", "cookie", "--host", "h1", "--detach", "--again")
    assert h1.docker("exec", "cookie", "cat", "/second") == "second"


def typed(repository: Repository, prompt: bytes, *words: str) -> str:
    """Who and where one is, as the shell says that a verb opens; it is left."""
    with Driven([sys.executable, "-m", "tui", *words], env=repository.env) as it:
        it.expect(prompt, timeout=SLOW)
        it.send("echo I am''=$(id -u)=$PWD=\r")
        it.expect(b"I am=", timeout=SLOW)
        said = it.expect(b"=\r\n", timeout=SLOW)
        it.send("exit\r")
        assert it.wait(timeout=SLOW) == 0
    return said.decode().removesuffix("=\r\n")


def test_run_opens_a_shell_as_its_user_and_root_one_as_root(running):
    owner = running.lab.host("h1").run(["id", "-u", "alice"]).stdout.strip()
    assert typed(running, b"$ ", "workspace", "run", "cookie", "--host", "h1") == f"{owner}=/data"
    assert typed(running, b"$ ", "workspace", "shell", "cookie") == f"{owner}=/data"
    assert typed(running, b"# ", "workspace", "root", "cookie") == "0=/data"


def test_a_repository_that_knows_nothing_of_berth_is_built_on_a_base_that_is_said(repository):
    hooks = dict.fromkeys(("packages_txt", "requirements_txt", "pre_install", "post_install"), b"")
    repository.workspace("plain", **hooks, pre_run=b"touch /ran\r\n")
    repository.berth("workspace", "build", "plain", "--host", "h1", "--base", "debian:lab")
    repository.berth("workspace", "run", "plain", "--host", "h1", "--gpus", "none", "--detach")
    h1 = repository.lab.host("h1")
    assert h1.docker("exec", "plain", "sh", "-c", "ls /ran; echo $HOME") == "/ran\n/home/user"
    inside = json.loads(h1.docker("inspect", "plain"))[0]["HostConfig"]["PortBindings"]
    assert set(inside) == {"8888/tcp", "8080/tcp", "6006/tcp"}  # those of the usual services


def test_jupyter_is_started_with_a_token_and_opened_through_the_connection(repository, hold):
    repository.workspace("lab", berth_yaml="base: debian:python3\n", post_install=JUPYTER)
    repository.lab.host("h1").load_debian("python3", name="debian:python3")
    repository.berth("workspace", "build", "lab", "--host", "h1")
    repository.berth("workspace", "run", "lab", "--host", "h1", "--gpus", "none", "--detach")
    repository.lab.host("h1").docker("cp", "-", "lab:/opt", data=jupyter.site().read_bytes())
    held = hold("workspace", "jupyter", "lab")
    url = held.url()
    address, _, token = url.partition("?token=")
    assert token and fetch(f"{address}api/status?token={token}")[0] == 200
    assert fetch(f"{address}api/status")[0] == 403
    assert json.loads(fetch(f"{address}api/contents?token={token}")[1])["path"] == ""
    assert held.interrupt() == 130
    again = hold("workspace", "jupyter", "lab")
    assert again.url() == url and "jupyter runs already in lab" in again.said
    again.interrupt()
    repository.berth("workspace", "jupyter", "lab", "--stop")


def test_by_keys_a_service_of_a_context_is_opened_and_shells_too(running, tmp_path):
    folder = Path(sys.executable).parent
    env = {**running.env, "PATH": f"{folder}:{running.env['PATH']}"}
    with Terminal(tmp_path, env, size=(150, 46)) as it:
        it.line("berth")
        it.until("2 hosts", seconds=SLOW)
        it.keys("4")
        it.until(match(r"cookie .* running"), seconds=SLOW)
        choose(it, "open service")
        it.until("╭─ Open service")
        it.text("web")
        it.keys("C-s")
        it.keys("8")
        it.until(match(r"running .* open service"), seconds=SLOW)
        it.keys("Enter")
        found = it.until(match(r"http://127\.0\.0\.1:8123/page\?token="), seconds=SLOW)
        url = re.search(r"http://127\.0\.0\.1:8123/page\?token=[\w-]+", found)
        assert url is not None and fetch(url[0])[0] == 200
        it.keys("Escape")
        it.until("─ Activity ")  # else the terminal takes both keys for alt+4
        it.keys("4")
        it.until("─ Contexts ")
        choose(it, "root shell")
        it.until(match(r"root@\w+:/data#"), seconds=SLOW)
        it.line("echo I am=$(id -u)=$PWD=")
        it.until("I am=0=/data=", seconds=SLOW)
        it.line("exit")
        it.until("─ Contexts ", seconds=SLOW)


def choose(it: Terminal, words: str) -> None:
    """By the menu of all that can be done to the row."""
    it.keys("x")
    it.until("type to find")
    it.text(words)
    it.until(match(rf"{words}"))
    it.keys("Enter")


def test_a_workspace_runs_on_this_machine(repository):
    """This machine's engine is that of a lab host: only what is mounted has to be there too."""
    cookie(repository)
    h1 = repository.lab.host("h1")
    (repository.config / "hosts.yaml").write_text("local: true\n")
    shutil.rmtree(repository.config / "contexts")
    repository.env["DOCKER_HOST"] = f"unix://{h1.engine_socket}"
    data = repository.root / "run-data"
    h1.run(["mkdir", "-p", f"{data}/src/cookie"])
    repository.berth("workspace", "build", "cookie")
    said = repository.berth("workspace", "run", "cookie", "--gpus", "none", "--detach").stderr
    assert f"{data} on local is /data" in said and "pushdir" not in said
    told = ["sh", "-c", "cat /runs /ran-as; touch /data/generated-here"]
    assert h1.docker("exec", "cookie", *told) == "run\n0"
    assert h1.run(["ls", "-A", str(data)]).stdout.split() == ["generated-here", "src"]
    [row] = json.loads(repository.berth("workspace", "list", "--json").stdout)[0]["data"]
    assert row["name"] == "cookie" and "local" in json.dumps(row)
    assert typed(repository, b"# ", "workspace", "root", "cookie") == "0=/data"
    repository.berth("workspace", "stop", "cookie", "--yes")
    assert h1.docker("ps", "-q", "--filter", "name=cookie") == ""
