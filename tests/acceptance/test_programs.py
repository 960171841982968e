"""Programs inside an entered container are as over plain ssh, and the dashboard is whole afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.lab import Host, Lab
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SIZE = (110, 30)
"""Of the reference; a tmux session on the host takes one line more for its status."""
HTOPRC = """htop_version=3.2.2
config_reader_min_version=3
hide_kernel_threads=1
header_layout=two_50_50
column_meters_0=Hostname
column_meter_modes_0=2
column_meters_1=Tasks
column_meter_modes_1=2
screen:Main=USER NICE Command
.sort_key=PID
.tree_view_always_by_pid=1
"""
VIM = "LC_ALL=C.UTF-8 TERM=xterm vim.tiny -u NONE -N --cmd 'set shortmess+=F'"
STEPS = (
    # what is typed, and what is on the screen when it has taken effect
    (["clear; seq 1 200000; echo end-$((1 + 1))", "Enter"], r"^end-2$"),
    (
        [f"clear; rm -f /tmp/note; {VIM} /tmp/note", "Enter"],
        r"^~$",
    ),
    (["i", "first 鯨 žluťoučký", "Enter", "second"], r"second(.|\n)*-- INSERT --"),
    (["Escape"], r"\A(?!(.|\n)*-- INSERT --)"),
    ([":%s/second/done/", "Enter", ":set number", "Enter"], r"^ +2 done"),
    ([":wq", "Enter"], r"[#$](\s|\[\S+\] 0:.*)*\Z"),
    (["clear; wc -c < /tmp/note", "Enter"], r"^29$"),
    (
        [
            "clear; cp /tmp/htoprc /tmp/rc; LC_ALL=C.UTF-8 TERM=xterm HTOPRC=/tmp/rc htop -F 'sleep 1d'",
            "Enter",
        ],
        r"F10Quit",
    ),
    (["F5"], r"F5List"),
    (["F10"], r"[#$](\s|\[\S+\] 0:.*)*\Z"),
    (["clear; stty -a | head -n 1; tput cols", "Enter"], r"^\d+$"),
)


AT_PROMPT = match(r"[#$]\s*\Z")
AT_PROMPT_ABOVE_STATUS = match(r"[#$]\s*\[\S+\] 0:.*\s*\Z")


@pytest.fixture
def work(hosts: list[Host]) -> Host:
    """The first host, with a container that has this machine's vim and htop."""
    h1 = hosts[0]
    mounts = [word for folder in ("/usr", "/lib", "/lib64") for word in ("-v", f"{folder}:{folder}:ro")]
    h1.docker("run", "-d", "--name", "work", *mounts, "busybox:latest", "sleep", "1d")
    h1.docker("exec", "-i", "work", "sh", "-c", "cat >/tmp/htoprc", data=HTOPRC.encode())
    return h1


def by_ssh(lab: Lab, host: Host) -> str:
    known = lab.config_dir / "known_hosts"
    return (
        f"ssh -F none -i {lab.key} -o UserKnownHostsFile={known} -t alice@{host.address} "
        "docker exec -it work bash"
    )


def play(it: Terminal) -> list[str]:
    """Do all the steps at a prompt inside; the screen after each."""
    seen = []
    for keys, shows in STEPS:
        for key in keys:
            it.keys(key)  # tmux types what is no key's name
        it.until(match(shows))
        seen.append(settled(it))
    return seen


def settled(it: Terminal) -> str:
    """The screen once it stands still, without a status line of tmux, and without counts of processes."""
    shown = ""

    def still() -> bool:
        nonlocal shown
        before, shown = shown, "\n".join(it.screen().splitlines()[: SIZE[1]])
        return before == shown

    wait_for(still, "a screen that stands still")
    return re.sub(r"(Tasks: ).*", r"\1", shown)


def whole(screen: str) -> bool:
    """The list of one container as it should be: nothing is missing, nothing is left over from a shell."""
    header, top, heading, row, *rest, bottom, footer = screen.splitlines()
    return (
        header.startswith(" berth   1 ")
        and top.startswith("╭─ Containers 1 ──")
        and heading.startswith("│  HOST ")
        and re.match(r"│  h1 +work .* running ", row) is not None
        and all(set(line) == {"│", " "} for line in rest)
        and bottom.startswith("╰──")
        and footer.startswith(" ⏎ details ")
        and {len(line) for line in (top, heading, row, *rest, bottom)} == {SIZE[0]}
    )


@pytest.fixture
def over_ssh(lab: Lab, work: Host, terminal: Callable[..., Terminal]) -> list[str]:
    """What the programs look like without berth."""
    it = terminal(size=SIZE)
    it.line(by_ssh(lab, work))
    it.until(AT_PROMPT)
    seen = play(it)
    it.close()
    return seen


def test_programs_look_as_over_plain_ssh(over_ssh: list[str], terminal: Callable[..., Terminal]) -> None:
    columns, rows = SIZE
    it = terminal(size=(columns, rows + 1))
    it.line("berth enter h1/work")
    it.until(AT_PROMPT_ABOVE_STATUS)
    assert play(it) == over_ssh
    it.line("exit")
    it.until_prompt()

    it.line("berth")
    it.until("3 hosts · ")
    it.keys("3")
    it.until(match(r"h1 +work .*running"))
    for key, height, prompt in (("E", rows, AT_PROMPT), ("e", rows + 1, AT_PROMPT_ABOVE_STATUS)):
        it.resize(columns, height)
        it.until(whole)
        it.keys(key)
        it.until(prompt)
        assert play(it) == over_ssh
        it.line("exit")
        it.until(whole)
    it.keys("q")
    it.until_prompt()
    assert it.told("alternate_on") == it.told("mouse_any_flag") == "0"


def test_two_terminals_inside_one_container_do_not_meet(
    work: Host, terminal: Callable[..., Terminal]
) -> None:
    one, two = (terminal(size=size) for size in (SIZE, (80, 24)))
    for it in (one, two):
        it.line("berth enter h1/work")
        it.until(AT_PROMPT_ABOVE_STATUS)
    one.line(f"clear; {VIM} /tmp/mine")
    one.until(match(r"^~$"))
    two.line("clear; seq 1 200000; echo end-$((1 + 1))")
    one.keys("i", "typed meanwhile")
    one.until("typed meanwhile")
    two.until("end-2")
    assert [line for line in two.screen().splitlines() if line.isdigit()][-1] == "200000"
    assert "typed" not in two.screen() and "200000" not in one.screen()
    two.line("tput cols; tput lines")
    two.until(match(r"^80\n23$"))
    two.resize(90, 30)
    two.line("clear; tput cols; tput lines")
    two.until(match(r"^90\n29$"))
    one.keys("Escape")
    one.until_gone("-- INSERT --")
    one.line(":wq")
    one.until(AT_PROMPT_ABOVE_STATUS)
    two.line("clear; cat /tmp/mine")
    two.until("typed meanwhile")
