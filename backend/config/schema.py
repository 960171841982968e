"""What a configuration is once it is read: frozen, every value checked, every default applied.

The files are described in `docs/configuration.md`. Paths are absolute with `~` expanded, but only those of
this machine: the sources of a context's mounts are paths of its host and stay as written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from backend.errors import NoSuchTarget

LOCAL = "local"
"""Name of the machine berth itself runs on; no entry of hosts.yaml may have it."""

EngineChoice = Literal["auto", "docker", "podman", "none"]
QueueChoice = Literal["docker", "slurm", "none"]
Profile = Literal["tuned", "raw"]
Direction = Literal["push", "pull", "both"]
Links = Literal["keep", "skip", "follow"]
TerminalChoice = Literal["auto", "here", "window", "pane", "popup"]
CommandOn = Literal["host", "container", "context", "gpu", "job", "image", "session", "everywhere"]


class HostConfig(Struct, frozen=True, kw_only=True):
    """One host, with the defaults of the file's top level already applied."""

    name: str
    """The nick: unique, without spaces and slashes."""
    host: str
    """An address, or a `Host` of ~/.ssh/config; `local` for this machine."""
    sshport: int | None = None
    """None: what ~/.ssh/config says, else 22."""
    username: str | None = None
    """None: what ~/.ssh/config says, else the user here."""
    identity_file: Path | None = None
    """None: what ~/.ssh/config and the SSH agent give."""
    known_hosts: Path | None = None
    """None: OpenSSH's own, ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts."""
    type: str = ""
    """Free text: the kind of machine."""
    arch: str = ""
    """Free text: the architecture of its GPUs, `gfx942`."""
    comment: str = ""
    skip: bool = False
    """Listed, never contacted."""
    tags: tuple[str, ...] = ()
    proxy_jump: str | None = None
    """None: what ~/.ssh/config says. Else `[user@]host[:port]`, or a `Host` of ~/.ssh/config."""
    engine: EngineChoice = "auto"
    socket: str | None = None
    """Path of the engine's socket on the host; None: found by itself."""
    queue: QueueChoice = "docker"
    read_only: bool = False
    """Nothing that changes anything is offered on this host."""
    disk_full: float = 98.0
    """Percent in use from which a disk counts as full: it stands among the host's problems."""
    disk_folders: tuple[str, ...] = ()
    """Folders whose file systems matter too: `/data`."""
    local: bool = False
    """This machine: no SSH."""


class RuntimeOptions(Struct, frozen=True, kw_only=True):
    """What else a context asks of the engine, with Docker's names and meanings."""

    runtime: str | None = None
    ipc: str | None = None
    pid: str | None = None
    hostname: str | None = None
    restart: str | None = None
    privileged: bool = False
    init: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ulimits: dict[str, str] = {}
    """Name to `soft` or `soft:hard`."""
    labels: dict[str, str] = {}
    sysctls: dict[str, str] = {}


class Service(Struct, frozen=True, kw_only=True):
    """Something that runs in a container and is opened by a tunnel."""

    command: tuple[str, ...] = ()
    """Run without a shell; `{port}`, `{address}` and `{token}` in it are replaced. None: it is there by
    itself, and berth starts nothing."""
    port: int
    """Inside the container."""
    user: str = ""
    """Who runs it; empty: the context's user."""
    path: str = "/"
    """Of its page: what is opened in a browser."""
    ready: str = ""
    """A path that answers once it is ready; empty: it is when it listens."""


class Context(Struct, frozen=True, kw_only=True):
    """A host, an image, a container, and how to run it: `contexts/NAME.yaml`."""

    name: str
    """The file's name without `.yaml`."""
    host: str
    """Name of a host of the configuration."""
    image: str
    container: str
    """Name of the container; the context's own name unless given."""
    user: str = "root"
    """Who a shell inside runs as."""
    command: tuple[str, ...] = ()
    """What the container runs instead of its image's own command; no shell is involved."""
    shell: str | None = None
    """None: bash where the image has it, else sh."""
    workdir: str | None = None
    ports: tuple[str, ...] = ()
    """`address:host port:container port/protocol`, the address always there: 127.0.0.1 unless given."""
    mounts: tuple[str, ...] = ()
    """`source:target` or `source:target:options`, as `docker run -v` takes them."""
    gpus: str | int | tuple[str, ...] | None = None
    """`all`, how many, or which (indices or UUIDs); None: no GPU."""
    cpus: float | None = None
    """How many CPUs' worth of time."""
    cpuset: str | None = None
    """`0-7,16`, or `auto`: the CPUs beside its GPUs."""
    memory: int | None = None
    """Bytes."""
    shm_size: int | None = None
    """Bytes of /dev/shm."""
    env: dict[str, str] = {}
    env_file: Path | None = None
    """On this machine."""
    network: str | None = None
    options: RuntimeOptions = field(default_factory=RuntimeOptions)
    profile: Profile = "tuned"
    """Whether shells inside load the tuned environment."""
    sync: str | None = None
    """Name of a sync profile."""
    services: dict[str, Service] = {}
    """By name; they win over those that berth knows by itself."""
    tunnels: tuple[str, ...] = ()
    """What is opened with it: names of services, `PORT` or `LOCAL:PORT`."""


class Folders(Struct, frozen=True, kw_only=True):
    """Names of the folders in the home that `berth prepare` makes and sync keeps alike."""

    mirror: str = "mirror"
    """Scripts of one's own, on the PATH here and on hosts."""
    shared: str = "shared"
    """Also mounted into containers; bin, notebook, script, tests, env, pythonenv, secret are below it."""
    sharedump: str = "sharedump"
    """On hosts and in containers only: what is too large to be kept alike."""


class ImageSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where recipes of images are, and how their images are called."""

    roots: tuple[str, ...] = ()
    """Folders of this machine whose recipes are found, absolute; none: the current folder."""
    maintainer: str = ""
    """First part of the names of stacked images; empty: the user here."""
    jobs: int = 4
    """Builds on one host at a time."""
    stop_when_lost: bool = False
    """Whether a build ends when the berth that began it is gone; else it goes on there."""


class Notify(Struct, frozen=True, kw_only=True):
    """Which jobs the dashboard tells of, and how: `notify` in settings.yaml."""

    jobs: Literal["mine", "all", "none"] = "mine"
    """Whose."""
    states: tuple[str, ...] = ("running", "completed", "failed", "timeout", "cancelled")
    """Into which of these a job has to come."""
    ways: tuple[str, ...] = ("toast", "terminal", "tmux")
    """`toast` in the dashboard, `terminal` by its own messages or bell, `tmux` in its status line."""
    command: tuple[str, ...] = ()
    """A program of this machine and its arguments that is run too, without a shell; none where empty."""


class OwnParam(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a command of the user's own asks for."""

    type: Literal["text", "int", "choice", "path", "secret"] = "text"
    """`path` knows `~`; a `secret` is asked for unseen and never part of a command line."""
    default: str | None = None
    """None: it has to be said."""
    choices: tuple[str, ...] = ()
    description: str = ""


class OwnCommand(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An action of the user's own: one entry of `commands` in settings.yaml."""

    command: str | tuple[str, ...]
    """One text is a line for a shell; several words are a program and its arguments."""
    on: CommandOn = "host"
    """What it is done to."""
    runs: Literal["laptop", "host", "container"]
    """Where."""
    show: Literal["page", "background", "terminal"] = "page"
    """Its output on a page, a message at its end alone, or the whole terminal."""
    key: str = ""
    description: str = ""
    danger: bool = False
    """Whether it is asked first."""
    reads: bool = False
    """It changes nothing, and so stays when berth is read-only."""
    params: dict[str, OwnParam] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        """Its words, or its line as the only one."""
        return (self.command,) if isinstance(self.command, str) else self.command


class DiskSettings(Struct, frozen=True, kw_only=True):
    """How people are told about their disk use: `disk` in settings.yaml."""

    notify: tuple[str, ...] = ()
    """A program of this machine and its arguments, run without a shell, the message on its standard input;
    `{user}`, `{host}`, `{size}` and `{path}` are replaced."""
    file: str = "/var/tmp/berth-disk-{user}.txt"  # noqa: S108  # where people of a host can read it
    """Where a message is left on a host; `{user}` is replaced."""


class SyncRule(Struct, frozen=True, kw_only=True):
    """What of one folder goes where. `docs/sync.md` says how each key is meant."""

    source: str
    """Where it comes from: for `pull` on the host, else on this machine. Relative paths start at the home."""
    target: str
    direction: Direction = "push"
    filter: tuple[str, ...] = ()
    """`+ PATTERN` or `- PATTERN` in rsync's words, the first that matches decides."""
    keep: tuple[str, ...] = ()
    """Patterns of what is never deleted at the target."""
    max_size: int | None = None
    """Bytes; larger files are left out."""
    update: bool = True
    """Files that are newer at the target are left alone."""
    delete: bool = False
    """What is gone at the source goes at the target, once that was agreed to."""
    links: Links = "keep"
    secret: bool = False
    """Only into a folder of mode 0700; files get 0600."""
    mode: int | None = None
    """Permissions of folders at the target; files get the same without the right to run."""


class SyncProfile(Struct, frozen=True, kw_only=True):
    """Rules that are carried out together: one entry of `sync.yaml`, or one of berth's own."""

    name: str
    rules: tuple[SyncRule, ...]
    comment: str = ""
    hosts: tuple[str, ...] = ()
    """Where to, if nothing else is said."""
    tags: tuple[str, ...] = ()
    """Also to all hosts with one of these tags."""
    compress: bool = False
    """For slow links."""
    keep_days: float = 14.0
    """How long what was replaced or deleted can be brought back."""
    keep_size: int = 2 * 1024**3
    """Bytes of that which are kept per host, at most."""
    built_in: bool = False


class Keeping(Struct, frozen=True, kw_only=True):
    """How long, and how much of what a sync replaces or deletes can be had back; of sync.yaml as a whole."""

    keep_days: float = 14.0
    keep_size: int = 2 * 1024**3
    """Bytes per host."""


class Settings(Struct, frozen=True, kw_only=True):
    """How the dashboard looks and behaves: `settings.yaml`."""

    theme: str | None = None
    """Name of a theme; None: berth's own default."""
    keys: dict[str, tuple[str, ...]] = {}
    """Action name to keys, instead of the ones it is declared with; no keys: the action has none."""
    interval: float = 2.0
    """Seconds between two samples of a host, 0.5-60."""
    columns: dict[str, tuple[str, ...]] = {}
    """View name to the columns it shows, in this order."""
    sort: dict[str, str] = {}
    """View name to the column it is sorted by; `-column` is descending."""
    read_only: bool = False
    """Nothing that changes anything is offered anywhere."""
    notifications: bool = True
    """Whether ended actions and lost hosts raise a notification."""
    notify: Notify = field(default_factory=Notify)
    """Of which jobs it is told that they started, ended or failed, and how."""
    terminal: TerminalChoice = "auto"
    """Where a shell opens that the dashboard starts: in its place (`here`), or in a new window, pane or popup
    of the tmux it runs in; `auto` is a window inside tmux, else here."""
    images: ImageSettings = field(default_factory=ImageSettings)
    folders: Folders = field(default_factory=Folders)
    packages: tuple[str, ...] = ("git", "rsync", "tmux")
    """What `berth prepare` installs on hosts."""
    git: dict[str, str] = {}
    """Git configuration that `berth prepare` sets on hosts where it is not set, besides name and address."""
    tools: tuple[str, ...] = (
        "ca-certificates", "curl", "git", "htop", "less", "openssh-client", "procps", "rsync", "tmux", "vim",
    )  # fmt: skip
    """What `berth install` installs in containers, by Debian's names; other families' are translated."""
    disk: DiskSettings = field(default_factory=DiskSettings)
    commands: dict[str, OwnCommand] = {}
    """Actions of the user's own, by name."""


class Config(Struct, frozen=True, kw_only=True):
    """Everything that is configured."""

    directory: Path
    """Where it was read from; it need not exist."""
    hosts: tuple[HostConfig, ...] = ()
    """This machine first (unless left out), then in the file's order."""
    contexts: tuple[Context, ...] = ()
    """By name."""
    settings: Settings = field(default_factory=Settings)
    profiles: tuple[SyncProfile, ...] = ()
    """Those of sync.yaml, in the file's order, then berth's own that it does not replace."""
    keeping: Keeping = field(default_factory=Keeping)
    """What holds for pushdir, pulldir, and profiles that say nothing else."""

    def host(self, name: str) -> HostConfig:
        """The host of that name; `NoSuchTarget` names the ones there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts) or "none"
        raise NoSuchTarget(f"no host is called {name!r}.", hint=f"Hosts: {known}.")

    def context(self, name: str) -> Context:
        """The context of that name; `NoSuchTarget` names the ones there are."""
        for context in self.contexts:
            if context.name == name:
                return context
        known = ", ".join(context.name for context in self.contexts) or "none"
        raise NoSuchTarget(f"no context is called {name!r}.", hint=f"Contexts: {known}.")

    def profile(self, name: str) -> SyncProfile:
        """The sync profile of that name; `NoSuchTarget` names the ones there are."""
        for profile in self.profiles:
            if profile.name == name:
                return profile
        known = ", ".join(profile.name for profile in self.profiles) or "none"
        raise NoSuchTarget(f"no sync profile is called {name!r}.", hint=f"Profiles: {known}.")
