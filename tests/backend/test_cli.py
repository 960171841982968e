"""The command line as people call it: the real program, this machine, real pipes and terminals."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import msgspec
import pytest

from backend.model import HostRow
from tests.backend.sshd import Sshd

BERTH = [sys.executable, "-m", "tui"]


class Berth:
    """Runs `berth` with a configuration folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config").mkdir()
        (folder / "home").mkdir()
        self.environment = os.environ | {
            "HOME": str(folder / "home"),
            "BERTH_CONFIG_DIR": str(folder / "config"),
            "BERTH_STATE_DIR": str(folder / "state"),
            "TERM": "xterm-256color",
        }
        for name in ("NO_COLOR", "SSH_AUTH_SOCK", "COLUMNS", "LINES"):
            self.environment.pop(name, None)

    def config(self, name: str, text: str) -> None:
        file = self.folder / "config" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*BERTH, *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            timeout=60,
            check=False,
        )

    def start(self, *words: str, **options: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*BERTH, *words], env=self.environment, **options)

    def terminal(
        self, *words: str, columns: int = 100, until: str | None = None, **extra: str
    ) -> tuple[str, int]:
        """What a terminal shows, and the exit code. With `until`: Ctrl+C once that was seen."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [*BERTH, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.environment | extra,
            start_new_session=True,
        )
        os.close(theirs)
        seen = b""
        interrupted = False
        try:
            while select.select([ours], [], [], 30)[0]:
                try:
                    seen += os.read(ours, 65536)
                except OSError:  # the last writer is gone
                    break
                if until and until.encode() in seen and not interrupted:
                    process.send_signal(signal.SIGINT)
                    interrupted = True
            return seen.decode().replace("\r\n", "\n"), process.wait(30)
        finally:
            process.kill()
            process.wait()
            os.close(ours)


@pytest.fixture
def berth(tmp_path: Path) -> Berth:
    return Berth(tmp_path)


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


# ---------------------------------------------------------------------------------------------- lists


def test_hosts_as_json(berth: Berth) -> None:
    done = berth("hosts", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    (host,) = json.loads(done.stdout)
    wanted = "name address state error engine engine_version cpus cpu_percent load1 mem_used mem_total gpus "
    wanted += "gpus_free containers_running containers_total latency_ms tags comment"
    assert set(wanted.split()) <= set(host)
    assert (host["name"], host["state"], host["cpus"]) == ("local", "up", os.cpu_count())
    assert 0 <= host["cpu_percent"] <= 100
    assert 0 < host["mem_used"] < host["mem_total"]
    assert host["seen_at"].endswith("Z")
    assert msgspec.json.decode(done.stdout, type=list[HostRow])[0].seen_at


def test_plain_lines_have_all_columns_and_no_colour(berth: Berth) -> None:
    done = berth("hosts")
    titles, row = (line.split("\t") for line in done.stdout.splitlines())
    assert titles[:4] == ["HOST", "STATE", "CPU", "MEMORY"]
    assert len(row) == len(titles)
    assert row[:2] == ["local", "up"]
    assert "\x1b" not in done.stdout


def test_a_terminal_gets_a_table_with_colours_that_fits(berth: Berth) -> None:
    shown, code = berth.terminal("hosts", columns=60)
    assert code == 0
    assert "\x1b[32mup\x1b[0m" in shown
    plain, _ = berth.terminal("hosts", columns=60, NO_COLOR="1")
    assert "\x1b" not in plain
    titles, row = plain.splitlines()
    assert max(len(titles), len(row)) <= 60
    assert titles.index("STATE") == row.index("up")


def test_contexts_ask_only_the_hosts_they_are_on(berth: Berth) -> None:
    berth.config("hosts.yaml", f"hosts: {{away: {{host: 127.0.0.1, sshport: {closed_port()}}}}}")
    berth.config("contexts/train.yaml", "host: local\nimage: debian:12\n")
    done = berth("contexts", "--json")
    assert "away" not in done.stderr
    (context,) = json.loads(done.stdout)
    assert (context["name"], context["host"], context["container"]) == ("train", "local", "train")
    assert context["state"] in ("missing", "unknown")


def test_contexts_of_other_hosts_are_left_out(berth: Berth) -> None:
    berth.config("hosts.yaml", "hosts: {away: {host: 127.0.0.1, skip: true}}")
    berth.config("contexts/one.yaml", "host: away\nimage: debian:12\ncontainer: one")
    done = berth("contexts", "--json", "--host", "local")
    assert (json.loads(done.stdout), done.returncode) == ([], 0)


def test_a_real_host_over_ssh(berth: Berth) -> None:
    sshd = Sshd(berth.folder / "sshd").start()
    try:
        entry = sshd.host()
        berth.config(
            "hosts.yaml",
            f"username: {entry.username}\nidentity_file: {entry.identity_file}\n"
            f"known_hosts: {entry.known_hosts}\n"
            f"local: false\nhosts: {{box: {{host: 127.0.0.1, sshport: {entry.sshport}}}}}",
        )
        done = berth("hosts", "--json", "--host", "box")
        (host,) = json.loads(done.stdout)
        assert (host["name"], host["state"], host["error"], done.returncode) == ("box", "up", None, 0)
        assert host["cpus"] == os.cpu_count()
        assert host["latency_ms"] > 0
        # Another key than the one on record: refused, with the way out, and nothing is sent.
        sshd.stop()
        sshd.new_host_key()
        sshd.start()
        done = berth("hosts", "--json", "--host", "box")
        (host,) = json.loads(done.stdout)
        assert (host["state"], host["cpus"], done.returncode) == ("host_key", None, 3)
        assert "SHA256:" in done.stderr
    finally:
        sshd.stop()


def test_an_empty_list_is_an_empty_array(berth: Berth) -> None:
    berth.config("hosts.yaml", "local: false")
    for name in ("hosts", "gpus", "ps", "contexts", "sessions"):
        done = berth(name, "--json")
        assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0), name


# --------------------------------------------------------------------------------------------- doctor


def test_the_doctor_checks_hosts_together_and_shows_them_one_after_another(berth: Berth) -> None:
    berth.config("hosts.yaml", f"hosts: {{away: {{host: 127.0.0.1, sshport: {closed_port()}}}}}")
    done = berth("doctor")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    hosts = [row[0] for row in rows]
    assert hosts == sorted(hosts, key=["local", "away"].index)
    assert {row[2] for row in rows} <= {"ok", "FAIL", "-"}
    assert [row[1] for row in rows if row[0] == "away" and row[2] == "FAIL"] == ["connect"]
    assert done.returncode == 3


def test_the_doctor_as_json_and_for_one_host(berth: Berth) -> None:
    berth.config("hosts.yaml", f"hosts: {{away: {{host: 127.0.0.1, sshport: {closed_port()}}}}}")
    done = berth("doctor", "local", "--json")
    checks = json.loads(done.stdout)
    assert {check["host"] for check in checks} == {"local"}
    assert {"step": "agent", "ok": True}.items() <= next(c for c in checks if c["step"] == "agent").items()
    assert done.returncode == (1 if any(check["ok"] is False for check in checks) else 0)


def test_the_doctor_on_a_terminal_says_in_one_line_what_was_not_tried(berth: Berth) -> None:
    berth.config("hosts.yaml", f"hosts: {{away: {{host: 127.0.0.1, sshport: {closed_port()}}}}}")
    shown, code = berth.terminal("doctor", "away", columns=200)
    assert code == 3
    assert shown.count("Not tried: host key, login") == 1
    assert "\x1b[31mFAIL" in shown


def test_the_doctor_knows_no_unknown_host(berth: Berth) -> None:
    done = berth("doctor", "nobody")
    assert (done.returncode, done.stdout) == (4, "")


# ----------------------------------------------------------------------------------------- exit codes


def test_a_host_that_is_down_leaves_the_others_alone(berth: Berth) -> None:
    berth.config("hosts.yaml", f"hosts: {{away: {{host: 127.0.0.1, sshport: {closed_port()}}}}}")
    done = berth("hosts", "--json")
    local, away = json.loads(done.stdout)
    assert (local["state"], away["state"], done.returncode) == ("up", "down", 0)
    assert "refuses connections" in away["error"]
    assert away["cpus"] is None
    assert done.stderr.startswith("berth: away")
    assert done.stderr.count("\n") == 1


def test_a_named_host_that_is_down_is_exit_code_3(berth: Berth) -> None:
    berth.config("hosts.yaml", f"hosts: {{away: {{host: 127.0.0.1, sshport: {closed_port()}}}}}")
    done = berth("hosts", "--json", "--host", "away", "--host", "local")
    assert done.returncode == 3
    assert [host["state"] for host in json.loads(done.stdout)] == ["up", "down"]


def test_all_hosts_down_is_exit_code_3(berth: Berth) -> None:
    port = closed_port()
    berth.config(
        "hosts.yaml",
        f"local: false\nhosts: {{a: {{host: 127.0.0.1, sshport: {port}}}, b: {{host: x, skip: true}}}}",
    )
    done = berth("gpus", "--json")
    assert (done.returncode, done.stdout) == (3, "[]\n")
    assert "berth: a" in done.stderr
    assert "berth: b" not in done.stderr


def test_a_host_that_does_not_answer_in_time(berth: Berth) -> None:
    with silent_server() as port:
        berth.config("hosts.yaml", f"local: false\nhosts: {{mute: {{host: 127.0.0.1, sshport: {port}}}}}")
        done = berth("hosts", "--json", "--timeout", "1")
    (host,) = json.loads(done.stdout)
    assert (host["state"], host["error"], done.returncode) == ("connecting", "no answer within 1 s.", 3)
    assert "berth: mute: no answer within 1 s. Try: berth doctor mute" in done.stderr


def test_a_skipped_host_that_is_named_says_so(berth: Berth) -> None:
    berth.config("hosts.yaml", "hosts: {later: {host: 127.0.0.1, skip: true}}")
    done = berth("sessions", "--host", "later")
    assert done.returncode == 3
    assert "berth: later: is skipped" in done.stderr


def test_an_unknown_host_is_exit_code_4(berth: Berth) -> None:
    done = berth("hosts", "--host", "lcoal")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "berth: no host is called 'lcoal'. Hosts: local.\n"


def test_a_wrong_configuration_is_exit_code_2(berth: Berth) -> None:
    berth.config("hosts.yaml", "hosts:\n  a:\n    hots: x")
    done = berth("hosts", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "hosts.yaml:3: hosts.a.hots: unknown key. Did you mean 'host'?" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--watch", "0.1"), "'0.1' is not 0.5-60 seconds"),
        (("--timeout", "soon"), "'soon' is not 0.1-3600 seconds"),
        (
            ("--hosts", "a"),
            "unrecognized arguments: --hosts a. Did you mean '--host'?\nTry: berth hosts --help",
        ),
        (("--config", "/nowhere/at/all"), "--config /nowhere/at/all: there is no such folder."),
        (("--host",), "expected at least one argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(berth: Berth, words: tuple[str, ...], expected: str) -> None:
    done = berth("hosts", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


def test_an_unknown_verb_names_the_known_ones(berth: Berth) -> None:
    done = berth("host")
    assert done.returncode == 2
    assert "'hosts'" in done.stderr
    assert "_hosts" not in done.stderr


def test_without_a_terminal_there_is_no_dashboard(berth: Berth) -> None:
    done = berth()
    assert (done.returncode, done.stdout) == (2, "")
    lists = "hosts|gpus|ps|contexts|jobs|nodes|partitions|images|sessions"
    assert f"the dashboard needs a terminal. Without one: berth {lists}" in done.stderr


def test_without_a_terminal_a_shell_is_refused_and_not_told_as_done(berth: Berth) -> None:
    done = berth("login", "local")
    assert done.returncode == 2 and "this needs a terminal" in done.stderr
    assert json.loads(berth("activity", "--json").stdout) == []


def test_a_character_that_the_locale_lacks_is_no_failure(berth: Berth) -> None:
    folder = berth.folder / "Schränke"
    folder.mkdir()
    berth.environment |= {"PYTHONIOENCODING": "ascii", "BERTH_CONFIG_DIR": str(folder)}
    words = ("context", "new", "work", "--host", "local", "--image", "busybox")
    done = berth(*words)
    assert (done.returncode, done.stderr) == (0, "") and "Schr?nke" in done.stdout
    done = berth("context", "new", "two", *words[3:], "--json")
    assert "Schränke" in json.loads(done.stdout)[0]["message"]
    done = berth("activity", "--json")
    assert len(json.loads(done.stdout)) == 2 and "Schränke" in done.stdout
    assert "Schr?nke" in berth("activity").stdout


# --------------------------------------------------------------------------------- watching and ending


def test_watching_prints_one_array_per_line_until_ctrl_c(berth: Berth) -> None:
    process = berth.start("hosts", "--watch", "0.5", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    try:
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        assert first[0]["name"] == second[0]["name"] == "local"
        assert first != second
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_watching_ends_in_order_by_other_signals_too(berth: Berth, number: signal.Signals) -> None:
    process = berth.start("hosts", "--watch", "0.5", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    try:
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_watching_on_a_terminal_redraws_the_screen(berth: Berth) -> None:
    shown, code = berth.terminal("hosts", "--watch", "0.5", until="local")
    assert code == 130
    assert shown.startswith("\x1b[2J\x1b[H")
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    "words", [("hosts", "--watch", "0.5", "--json"), ("completion", "bash"), ("doctor",)]
)
def test_nobody_reads_the_output(berth: Berth, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    process = berth.start(*words, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.close(reading)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 141


def test_the_output_cannot_be_written(berth: Berth) -> None:
    with open("/dev/full", "wb") as full:
        process = berth.start("contexts", stdout=full, stderr=subprocess.PIPE)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (1, b"berth: No space left on device.\n")


# ------------------------------------------------------------------------------------ help, completion


def test_help_names_verbs_and_the_configuration(berth: Berth) -> None:
    done = berth("--help")
    assert done.returncode == 0
    for name in ("hosts", "gpus", "ps", "contexts", "sessions", "doctor", "completion"):
        assert f"\n  {name} " in done.stdout
    assert f"configuration: {berth.folder / 'config'}" in done.stdout
    assert berth("--version").stdout.startswith("berth ")


def complete(berth: Berth, *words: str) -> list[str]:
    """What bash offers for the last of `words`, through the script that berth prints."""
    line = " ".join(("berth", *words))
    script = (
        f'berth() {{ "{sys.executable}" -m tui "$@"; }}\n. <(berth completion bash)\n'
        f"COMP_WORDS=(berth); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDBREAKS=':= '\n"
        "_berth; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=berth.environment, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_completion_of_verbs_options_and_hosts_in_bash(berth: Berth) -> None:
    berth.config(
        "hosts.yaml", "hosts: {h100-1: {host: a}, h100-2: {host: b}, '$(touch${IFS}pwned)': {host: c}}"
    )
    assert complete(berth, "h") == ["hosts", "help"]
    assert complete(berth, "gpus", "--wa") == ["--watch"]
    assert complete(berth, "ps", "--host", "h1") == ["h100-1", "h100-2"]
    assert complete(berth, "doctor", "l") == ["local"]
    assert complete(berth, "completion", "z") == ["zsh"]
    berth.config("contexts/work.yaml", "host: h100-1\nimage: x\n")
    berth.config("contexts/web.yaml", "host: h100-1\nimage: x\n")
    assert complete(berth, "up", "w") == complete(berth, "context", "show", "w") == ["web", "work"]
    assert complete(berth, "stop", "wo") == ["work"]
    assert complete(berth, "context", "sh") == ["show"]
    assert complete(berth, "image", "check", "busybox", "--host", "h1") == ["h100-1", "h100-2"]
    assert complete(berth, "import", "do") == ["docker", "dok"]
    assert complete(berth, "import", "dok", ".", "--host", "h100-2") == ["h100-2"]
    assert complete(berth, "ps", "--host", "$") == [r"\$\(touch\$\{IFS\}pwned\)"]
    assert not Path("pwned").exists()


def test_completion_knows_every_option_of_every_verb(berth: Berth) -> None:
    for shell in ("zsh", "fish"):
        script = berth("completion", shell).stdout
        if shutil.which(shell):
            subprocess.run([shell, "-n"], input=script, text=True, check=True, capture_output=True)
        for option in ("json", "host", "watch", "timeout", "config", "read-only"):
            assert option in script
