"""The rest of a working day: a project on this machine, three hosts, Jupyter in a container, full disks."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from tests.browser import Browser, Page
from tests.lab import Host, jupyter
from tests.lab.machine import wait_for
from tests.program import berth

SLOW = 120
"""Seconds that a step may take on a machine that is busy with other things."""
IMAGE = "debian:python3"
WORK = "day"
"""The folder in everybody's home on the hosts that all this happens in."""
SYNC = """\
profiles:
  code:
    comment: the project
    hosts: {hosts}
    rules:
      - {{source: {project}, target: {work}/project, exclude: [__pycache__/, "*.pt"]}}
  results:
    comment: what came out of it
    rules:
      - {{source: {work}/results, target: {results}, direction: pull}}
"""
CELL = "open('/tmp/of-the-cell', 'w').write('written by a kernel'); print('I am', 6 * 7)"
_CARDS = "[...document.querySelectorAll('.jp-LauncherCard')]"
_OUTPUT = (
    "[...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')].map(each => each.innerText).join()"
)
_SHIFT = 8
_FILL = "mkdir -p /srv/$1 && dd if=/dev/zero of=/srv/$1/runs bs=1M count=$2 && chown -R $1 /srv/$1"


class Day:
    """What both days begin with."""

    def __init__(self, hosts: list[Host], env: dict[str, str], folder: Path) -> None:
        self.hosts, self.first = hosts, hosts[0]
        self.names = [host.name for host in hosts]
        self.project, self.results = folder / "project", folder / "results"
        self.opened = folder / "opened"
        """What the browser was given, a line each."""
        browser = folder / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >>{shlex.quote(str(self.opened))}\n')
        browser.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        self.env = {**env, "HOME": str(home), "BROWSER": f"{browser} %s"}

    def begin(self) -> None:
        """The project, its profiles, and what the hosts hold."""
        self.write("src/model.py", "LAYERS = 12\n")
        self.write("src/train.py", "import model\n")
        self.write("README.md", "# A project\n")
        self.write("src/__pycache__/model.pyc", "compiled")
        self.write("weights.pt", "large")
        self.results.mkdir()
        config = Path(self.env["BERTH_CONFIG_DIR"])
        told = SYNC.format(
            hosts=json.dumps(self.names), project=self.project, results=self.results, work=WORK
        )
        (config / "sync.yaml").write_text(told)
        (config / "contexts").mkdir()
        (config / "contexts" / "train.yaml").write_text(
            f"host: {self.first.name}\nimage: {IMAGE}\ncontainer: train\n"
        )
        for host in self.hosts:
            host.put(f"{WORK}/results/{host.name}.json", f'{{"host": "{host.name}"}}\n', user="alice")
        self.first.load_debian("python3", name=IMAGE)
        self.first.docker("run", "-d", "--name", "train", IMAGE, "sleep", "1d")
        jupyter.install(self.first, "train", "lab")
        for user, size in (("alice", "2"), ("bob", "9")):
            self.first.run(["sh", "-c", _FILL, "sh", user, size])

    def end(self) -> None:
        """Leave the hosts as they were found."""
        for host in self.hosts:
            host.run(["rm", "-rf", f"/home/alice/{WORK}"])
            host.run(["sh", "-c", "rm -rf /home/alice/.local/state/berth/sync"])
        self.first.run(["rm", "-rf", "/srv/alice", "/srv/bob"])
        self.first.docker("rm", "-f", "train", check=False)
        self.first.docker("rmi", IMAGE, check=False)

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    # -------------------------------------------------------------------------- what is true on the hosts

    def there(self, host: Host) -> set[str]:
        """Files of the project that a host has."""
        found = host.run(["find", f"{WORK}/project", "-type", "f"], user="alice", check=False).stdout
        return {line.removeprefix(f"{WORK}/project/") for line in found.splitlines()}

    def text(self, host: Host, name: str) -> str:
        """What a file of the project says there."""
        return host.run(["cat", f"{WORK}/project/{name}"], user="alice", check=False).stdout

    def is_nowhere(self) -> bool:
        """Whether no host has anything of the project."""
        return not any(map(self.there, self.hosts))

    def is_pushed(self) -> bool:
        """Whether all hosts have what the profile takes of the project, and nothing else."""
        return all(self.there(host) == {"src/model.py", "src/train.py", "README.md"} for host in self.hosts)

    def goes_everywhere(self, name: str, text: str) -> None:
        """Edit a file, and wait until all hosts have it so."""
        self.write(name, text)
        wait_for(
            lambda: all(self.text(host, name) == text for host in self.hosts), f"{name} to go", seconds=SLOW
        )

    def pulled(self) -> dict[str, str]:
        """The results here, by their names."""
        return {path.name: path.read_text() for path in self.results.iterdir()}

    @property
    def expected(self) -> dict[str, str]:
        """The results that there are."""
        return {f"{name}.json": f'{{"host": "{name}"}}\n' for name in self.names}

    def lost_image(self) -> str:
        """The id of an image of the first host that has lost its name, and holds 5 MB."""
        made = []
        for _ in range(2):
            fill = ("dd", "if=/dev/urandom", "of=/f", "bs=1M", "count=5")
            self.first.docker("run", "--name", "made", "busybox:latest", *fill)
            made.append(self.first.docker("commit", "made", "work:1"))
            self.first.docker("rm", "made")
        return made[0]

    def images(self) -> str:
        """The ids of all images of the first host."""
        return self.first.docker("images", "--all", "--quiet", "--no-trunc")

    def goes_on(self) -> list[object]:
        """Tunnels that are open, and runs that have not ended."""
        tunnels, runs = (
            json.loads(berth(verb, "--json", env=self.env).stdout) for verb in ("tunnels", "activity")
        )
        return [*tunnels, *(run for run in runs if run["state"] == "running")]

    def kernel_said(self) -> str:
        """What the cell wrote in the container."""
        return self.first.docker("exec", "train", "cat", "/tmp/of-the-cell", check=False)


async def run_a_cell(address: str) -> str:
    """Open a page of JupyterLab, begin a notebook there, run `CELL`: what its output says."""
    async with Browser() as browser:
        page = await browser.open(address)
        await page.until_true(f"{_CARDS}.some(each => each.dataset.category == 'Notebook')", seconds=SLOW)
        await page.eval(f"{_CARDS}.find(each => each.dataset.category == 'Notebook').click()")
        await page.until_true("document.querySelector('.jp-Notebook').contains(document.activeElement)")
        await page.until_true("document.body.innerText.includes('| Idle')", seconds=SLOW)
        await page.do("Input.insertText", text=CELL)
        await shift_enter(page)
        await page.until_true(f"{_OUTPUT}.includes('I am')", seconds=SLOW)
        said: str = await page.eval(_OUTPUT)
        places = {urlsplit(url).netloc for url in page.asked} - {""}
        assert len(places) == 1 and places.pop().startswith("127.0.0.1:"), "all of it came through the tunnel"
        return said.strip()


async def shift_enter(page: Page) -> None:
    """Run the cell that the cursor is in."""
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "modifiers": _SHIFT}
    for kind in ("rawKeyDown", "keyUp"):
        await page.do("Input.dispatchKeyEvent", type=kind, **key)


def cell(address: str) -> str:
    """As `run_a_cell`, for tests that are not asynchronous."""
    return asyncio.run(run_a_cell(address))
