"""From a context to its container: the engine's create request, and the command that says the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.config import Context
from backend.contexts.placement import Placement
from backend.errors import ActionFailed, ConfigError

CONTEXT_LABEL = "berth.context"
OWNER_LABEL = "berth.owner"
KFD = "/dev/kfd"


@dataclass(frozen=True)
class HostFacts:
    """What has to be known of a host to create a container there."""

    home: str
    """Home of the login user, for `~` in mounts."""
    user: str
    render_nodes: Mapping[str, str]
    """AMD GPU uuid -> `/dev/dri/renderD128`."""
    gpu_groups: Sequence[int] = ()
    """Group ids that own /dev/kfd and the render nodes; numbers, since the image may not know the names."""


def request(
    context: Context, placement: Placement, facts: HostFacts, env: Mapping[str, str]
) -> dict[str, Any]:
    """The body of `POST /containers/create` (Docker Engine API 1.41) for a context.

    `env` is the content of its env_file. The container keeps a terminal open, so that an image whose command
    is a shell stays alive, as with `docker run -dit`.
    """
    options = context.options
    host: dict[str, Any] = {
        "Binds": [bind(mount, facts.home) for mount in context.mounts],
        "CpusetCpus": placement.cpuset,
        "NanoCpus": int(context.cpus * 1e9) if context.cpus else 0,
        "Memory": context.memory or 0,
        "ShmSize": context.shm_size or 0,
        "NetworkMode": context.network or "",
        "Runtime": options.runtime or "",
        "IpcMode": options.ipc or "",
        "PidMode": options.pid or "",
        "Privileged": options.privileged,
        "Init": True if options.init else None,
        "CapAdd": list(options.cap_add),
        "CapDrop": list(options.cap_drop),
        "SecurityOpt": list(options.security_opt),
        "GroupAdd": list(options.group_add),
        "Devices": [device(each) for each in options.devices],
        "Ulimits": [ulimit(name, value) for name, value in options.ulimits.items()],
        "Sysctls": dict(options.sysctls),
        "RestartPolicy": restart(options.restart),
    }
    exposed, bindings = ports(context.ports)
    host["PortBindings"] = bindings
    _give_gpus(host, placement, facts)
    return {
        "Image": context.image,
        "Cmd": list(context.command) or None,
        "Hostname": options.hostname or "",
        "WorkingDir": context.workdir or "",
        "Env": [f"{name}={value}" for name, value in (dict(env) | context.env).items()],
        "Tty": True,
        "OpenStdin": True,
        "ExposedPorts": {port: {} for port in exposed},
        "Labels": {**options.labels, CONTEXT_LABEL: context.name, OWNER_LABEL: facts.user},
        "HostConfig": {
            key: value for key, value in host.items() if value not in ("", 0, None, [], {}, False)
        },
    }


def _give_gpus(host: dict[str, Any], placement: Placement, facts: HostFacts) -> None:
    vendors = {row.vendor for row in placement.gpus}
    if "nvidia" in vendors:
        ids = {"Count": -1} if placement.all_gpus else {"DeviceIDs": [row.uuid for row in placement.gpus]}
        host["DeviceRequests"] = [{"Driver": "", "Capabilities": [["gpu"]], **ids}]
    if "amd" in vendors:
        nodes = [KFD, *(facts.render_nodes[row.uuid] for row in placement.gpus if row.vendor == "amd")]
        host["Devices"] = [*host["Devices"], *(device(node) for node in nodes)]
        host["GroupAdd"] = [*host["GroupAdd"], *map(str, facts.gpu_groups)]
        # ROCm's debugger and profilers trace processes, and its runtime maps memory seccomp would refuse.
        host["CapAdd"] = list(dict.fromkeys([*host["CapAdd"], "SYS_PTRACE"]))
        host["SecurityOpt"] = list(dict.fromkeys([*host["SecurityOpt"], "seccomp=unconfined"]))


def bind(mount: str, home: str) -> str:
    """A context's mount with `~` as the login user's home on the host."""
    if mount == "~" or mount.startswith(("~/", "~:")):
        return home + mount[1:]
    return mount


def device(text: str) -> dict[str, str]:
    """`host[:container[:permissions]]` as the engine wants it."""
    outside, _, rest = text.partition(":")
    inside, _, permissions = rest.partition(":")
    return {
        "PathOnHost": outside,
        "PathInContainer": inside or outside,
        "CgroupPermissions": permissions or "rwm",
    }


def ulimit(name: str, value: str) -> dict[str, Any]:
    """`soft[:hard]` as the engine wants it."""
    soft, _, hard = value.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise ConfigError(f"ulimit {name}: {value!r} is not SOFT or SOFT:HARD, in numbers.") from None


def restart(policy: str | None) -> dict[str, Any] | None:
    """`on-failure:3` as the engine wants it."""
    if not policy or policy == "no":
        return None
    name, _, count = policy.partition(":")
    return {"Name": name, "MaximumRetryCount": int(count) if count.isdigit() else 0}


def ports(specs: Sequence[str]) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """A context's ports (`address:outside:inside[/protocol]`) as exposed ports and bindings."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for spec in specs:
        body, _, protocol = spec.partition("/")
        address, outside, inside = body.rsplit(":", 2)
        key = f"{inside}/{protocol or 'tcp'}"
        bindings.setdefault(key, []).append({"HostIp": address.strip("[]"), "HostPort": outside})
    return list(bindings), bindings


def env_file(text: str, name: str) -> dict[str, str]:
    """An env file as `docker run --env-file` reads it: `NAME=value` lines, `#` comments, nothing unquoted.

    Raises `ConfigError` naming file and line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.lstrip().partition("=")
        if not equals or not key or any(char.isspace() for char in key):
            raise ConfigError(f"{name}:{number}: {key[:40]!r} is not NAME=value.")
        found[key] = value
    return found


def command(body: Mapping[str, Any], name: str, engine: str = "docker") -> str:
    """The `docker create` command line that asks for the same, values of the environment left out.

    For people to read and keep; berth itself talks to the engine's API.
    """
    host = body["HostConfig"]
    argv = [engine, "create", "--name", name, "-it"]
    for flag, key in (("--hostname", "Hostname"), ("--workdir", "WorkingDir")):
        argv += [flag, body[key]] if body.get(key) else []
    for flag, key in _SINGLE:
        argv += [flag, str(host[key])] if host.get(key) else []
    if "NanoCpus" in host:
        argv += ["--cpus", f"{host['NanoCpus'] / 1e9:g}"]
    argv += [flag for flag, key in (("--privileged", "Privileged"), ("--init", "Init")) if host.get(key)]
    for flag, key in _REPEATED:
        argv += [part for value in host.get(key, ()) for part in (flag, value)]
    argv += [part for item in host.get("DeviceRequests", ()) for part in ("--gpus", _gpus_flag(item))]
    argv += [part for item in host.get("Devices", ()) for part in ("--device", _device_flag(item))]
    for inside, outsides in host.get("PortBindings", {}).items():
        argv += [
            part for each in outsides for part in ("-p", f"{each['HostIp']}:{each['HostPort']}:{inside}")
        ]
    argv += [part for limit in host.get("Ulimits", ()) for part in ("--ulimit", _ulimit_flag(limit))]
    argv += [
        part for key, value in host.get("Sysctls", {}).items() for part in ("--sysctl", f"{key}={value}")
    ]
    if "RestartPolicy" in host:
        argv += ["--restart", host["RestartPolicy"]["Name"]]
    argv += [part for entry in body.get("Env", ()) for part in ("-e", entry.partition("=")[0])]
    argv += [part for key, value in body["Labels"].items() for part in ("--label", f"{key}={value}")]
    return shlex.join([*argv, body["Image"], *(body.get("Cmd") or ())])


_SINGLE = (
    ("--cpuset-cpus", "CpusetCpus"),
    ("--memory", "Memory"),
    ("--shm-size", "ShmSize"),
    ("--network", "NetworkMode"),
    ("--runtime", "Runtime"),
    ("--ipc", "IpcMode"),
    ("--pid", "PidMode"),
)
_REPEATED = (
    ("-v", "Binds"),
    ("--cap-add", "CapAdd"),
    ("--cap-drop", "CapDrop"),
    ("--security-opt", "SecurityOpt"),
    ("--group-add", "GroupAdd"),
)


def _gpus_flag(item: Mapping[str, Any]) -> str:
    return "all" if item.get("Count") == -1 else f'"device={",".join(item["DeviceIDs"])}"'


def _device_flag(item: Mapping[str, str]) -> str:
    outside, inside = item["PathOnHost"], item["PathInContainer"]
    return outside if inside == outside else f"{outside}:{inside}"


def _ulimit_flag(limit: Mapping[str, Any]) -> str:
    return f"{limit['Name']}={limit['Soft']}:{limit['Hard']}"


def missing_render_nodes(placement: Placement, facts: HostFacts) -> None:
    """Raise `ActionFailed` where an AMD GPU was chosen whose device file is not known."""
    for row in placement.gpus:
        if row.vendor == "amd" and row.uuid not in facts.render_nodes:
            raise ActionFailed(
                f"GPU {row.index} of {row.host} has no /dev/dri/renderD* file that berth can find.",
                hint="Is the amdgpu driver loaded there, and the user in groups video and render?",
            )
