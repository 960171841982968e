"""`python -m tests.lab`: a lab to play with, and the faults of its hosts as verbs."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import fields
from pathlib import Path

from tests.lab import Host, HostSpec, Lab, LabError, default_directory
from tests.lab.gpus import DRIVER_STATES, Gpu

FAULTS = {
    "partition": Host.partition,
    "heal": Host.heal,
    "power-cut": Host.power_cut,
    "boot": Host.boot,
    "hang-engine": Host.hang_engine,
    "thaw-engine": Host.thaw_engine,
    "stop-engine": Host.stop_engine,
    "start-engine": Host.start_engine,
    "restart-engine": Host.restart_engine,
    "stop-sshd": Host.stop_sshd,
    "start-sshd": Host.start_sshd,
    "new-host-key": Host.new_host_key,
    "kill-agent": Host.kill_agent,
    "fill-disk": Host.fill_disk,
    "free-disk": Host.free_disk,
}
"""The verbs that take a host and nothing else."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--dir", type=Path, default=None, help=f"state of the lab ({default_directory()})")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="bring up hosts")
    up.add_argument("--hosts", type=int, default=1, help="how many (1)")
    up.add_argument("--gpus", default="none", help="of each host: nvidia:8, amd:4, nvidia:4:A100 or none")
    up.add_argument("--engine", default="docker", choices=["docker", "podman", "none"])
    up.add_argument("--slurm", action="store_true", help="a cluster: a login node c1 and the hosts as n1, n2")
    up.add_argument("--demo", action="store_true", help="a fleet at work, on three hosts")
    texts = {
        "down": "remove the lab",
        "status": "what is up",
        "demo": "the fleet at work, the dashboard on it, and away with it when that is closed",
    }
    for verb, text in texts.items():
        verbs.add_parser(verb, help=text)
    for verb, method in FAULTS.items():
        verbs.add_parser(verb, help=(method.__doc__ or "").splitlines()[0]).add_argument("host")
    gpu = verbs.add_parser("gpu", help="change the GPUs of a host")
    gpu.add_argument("host")
    gpu.add_argument("--set", action="append", default=[], metavar="INDEX.KEY=VALUE", help="as in 0.util=97")
    gpu.add_argument("--attach", action="append", default=[], metavar="INDEX:CONTAINER|PID:BYTES")
    gpu.add_argument("--detach", action="append", default=[], metavar="CONTAINER|PID")
    gpu.add_argument("--driver", choices=DRIVER_STATES)
    for sub in verbs.choices.values():
        sub.add_argument("--dir", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _status(lab: Lab) -> None:
    for host in lab.hosts.values():
        if not host.pid:
            state = "off"
        elif not host.plugged:
            state = "partitioned"
        else:
            state = "up" if host.spec.engine == "none" or host.engine_answers() else "engine does not answer"
        print(f"{host.name:12} {host.address:14} {host.spec.engine:7} {host.spec.gpus:14} {state}")
    print(f"\nBERTH_CONFIG_DIR={lab.config_dir}")


def _up(arguments: argparse.Namespace) -> None:
    if arguments.demo:
        from tests.lab import demo

        lab = demo.up(arguments.dir)
    else:
        letter, cluster = ("n", "c1") if arguments.slurm else ("h", "")
        names = [f"{letter}{number}" for number in range(1, arguments.hosts + 1)]
        specs = [
            HostSpec(name, gpus=arguments.gpus, engine=arguments.engine, slurm=cluster) for name in names
        ]
        if cluster:
            specs.insert(0, HostSpec(cluster, engine="none", slurm=cluster))
        lab = Lab(arguments.dir, specs).up()
    _status(lab)


def _gpu(host: Host, arguments: argparse.Namespace) -> None:
    gpus = host.gpus
    types = {each.name: str(each.type) for each in fields(Gpu)}
    for change in arguments.set:
        match = re.fullmatch(r"(\d+)\.(\w+)=(.*)", change)
        if not match:
            raise LabError(f"--set takes INDEX.KEY=VALUE, not {change!r}")
        index, key, text = match.groups()
        value: object = text
        if "float" in types.get(key, "") or "int" in types.get(key, ""):
            value = float(text) if "float" in types[key] else int(text)
        gpus.set(int(index), **{key: value})
    for holder in arguments.attach:
        index, who, memory = holder.split(":")
        gpus.attach(int(index), int(who) if who.isdigit() else host.container_pid(who), int(memory))
    for who in arguments.detach:
        gpus.detach(int(who) if who.isdigit() else host.container_pid(who))
    if arguments.driver:
        gpus.set_driver(arguments.driver)


def main(argv: list[str] | None = None) -> int:
    """Run one verb; the exit code is 1 when it did not work."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.verb == "up":
            _up(arguments)
        elif arguments.verb == "down":
            Lab(arguments.dir).down()
        elif arguments.verb == "status":
            _status(Lab.attach(arguments.dir))
        elif arguments.verb == "demo":
            from tests.lab import demo

            return demo.play(arguments.dir)
        elif arguments.verb == "gpu":
            _gpu(Lab.attach(arguments.dir).host(arguments.host), arguments)
        else:
            FAULTS[arguments.verb](Lab.attach(arguments.dir).host(arguments.host))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
