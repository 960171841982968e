"""What a recipe is, how recipes stand on each other, and what one becomes when it is rendered.

    graph = await load(config)                       recipes of all roots, and what is wrong with them
    levels = graph.order(["torch"])                  parents first; recipes of one level are independent
    async with staging() as into:                    a folder outside all sources, gone afterwards
        done = {}
        for level in levels:
            for recipe in level:
                done[recipe.name] = await render(recipe, graph=graph, parents=done, into=into)

All of it is about this machine: no host is asked. What differs per host (who we are there) is a parameter of
`render`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct, field

from backend.config.schema import Service

PRE_RUN = "/usr/local/lib/berth/pre-run"
"""In the image of a workspace with such a hook: what runs as root whenever a container of it starts."""
DIGEST_LABEL = "berth.recipe.digest"
"""Label of an image: `Rendered.digest` of what it was built from."""
RECIPE_LABEL = "berth.recipe"
"""Label of an image: name of its recipe."""


class Kind(StrEnum):
    """The shape of a folder that yields an image."""

    DOCKERFILE = "dockerfile"
    """A Dockerfile that says its base itself."""
    STACK = "stack"
    """`images/NAME/Dockerfile` whose base is given as a build argument: `ARG baseimage`."""
    WORKSPACE = "workspace"
    """A folder with `container/`: packages.txt, requirements.txt, pre-install, post-install, pre-run."""
    RP = "rp"
    """A project of rp: `docker/` and `.rp/`."""
    CLUSTER = "cluster"
    """A folder of a repository of cluster images: `projects/NAME`, or a base beside `projects`."""


class Problem(Struct, frozen=True, kw_only=True):
    """Something that is wrong with a recipe, and where it stands."""

    file: Path
    line: int = 0
    """From 1; 0: the file as a whole."""
    column: int = 0
    """From 1; 0: the line as a whole."""
    text: str
    hint: str = ""
    recipe: str = ""
    """Name of the recipe that cannot be built because of it; empty: none in particular."""

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: text`, without the hint."""
        place = "".join(f":{number}" for number in (self.line, self.column if self.line else 0) if number)
        return f"{self.file}{place}: {self.text}"


class Staged(Struct, frozen=True, kw_only=True):
    """Data that is brought into the build context and is gone from there afterwards."""

    kind: Literal["file", "project", "git"]
    """A file or folder as it is; a project: what git does not ignore of it; a repository of git."""
    source: str
    """Absolute path of this machine, or for `git` a URL (`OWNER/NAME` means GitHub)."""
    target: str
    """Where it lies in the context: a relative path."""
    ref: str = ""
    """For `git`: branch, tag or commit; empty: the repository's default branch."""


class User(Struct, frozen=True, kw_only=True):
    """Somebody who works in containers of the image."""

    name: str
    uid: int
    gid: int | None = None
    """None: a group of their own with the number of `uid`."""
    groups: tuple[str, ...] = ()
    """Further groups, `NAME` or `NAME:GID`; made where they are missing."""
    sudo: bool = False
    shell: str = "/bin/bash"
    """`/bin/sh` where the image has no such shell."""


class Secret(Struct, frozen=True, kw_only=True):
    """Something a build may read and an image must not hold; one of the two is given."""

    file: Path | None = None
    """On this machine."""
    env: str = ""
    """Name of a variable of the environment of berth."""


class Output(Struct, frozen=True, kw_only=True):
    """What a cluster's environment file says beside the image."""

    mounts: tuple[str, ...] = ()
    workdir: str = ""
    annotations: dict[str, str] = {}
    env: dict[str, str] = {}


class RecipeConfig(Struct, frozen=True, kw_only=True):
    """`berth.yaml` beside a Dockerfile; each of its keys may be missing."""

    file: Path | None = None
    """The file; None: there is none."""
    base: str = ""
    """Name of another recipe, or an image: the value of the argument that FROM names."""
    args: dict[str, str] = {}
    """Build arguments."""
    staged: tuple[Staged, ...] = ()
    allow_keys: tuple[str, ...] = ()
    """Patterns of paths of the context: private keys that may be in the image, those of tests."""
    users: tuple[User, ...] = ()
    authorized_keys: Path | None = None
    """Public keys that let people in as each of `users`."""
    ports: tuple[str, ...] = ()
    """Of the container: `32778` or `53/udp`."""
    maintainer: str = ""
    """First part of the image's name; empty: what settings say."""
    name: str = ""
    """The image's name without tag, instead of what the naming rule gives. Of a stack member without a `/`:
    what stands for its base in the rule."""
    tags: tuple[str, ...] = ()
    """Tags of the image; the first is what other recipes stand on. Empty: `latest`."""
    target: str = ""
    """Stage to stop at; empty: the last one."""
    platform: str = ""
    """`linux/amd64`; empty: that of the host."""
    no_cache: str = ""
    """Why it is built without the build cache; empty: with it."""
    secrets: dict[str, Secret] = {}
    """Id, as `RUN --mount=type=secret,id=...` names it, to source."""
    services: dict[str, Service] = {}
    cluster: Output = field(default_factory=Output)
    lines: dict[str, int] = {}
    """Key to the line it stands in."""
    said: tuple[str, ...] = ()
    """What came from the command line: `tags`, `arg python`, `staged nvdiffrast`."""


class Stage(Struct, frozen=True, kw_only=True):
    """One FROM of a Dockerfile."""

    index: int
    name: str = ""
    """Lower case, as stages are compared."""
    written: str
    """Its base as it is written, with variables."""
    base: str = ""
    """Its base with variables filled in; empty where that is not possible."""
    platform: str = ""
    line: int = 0
    column: int = 0
    """Where `written` begins, from 1."""


class Dependency(Struct, frozen=True, kw_only=True):
    """An image that has to be there before a recipe can be built."""

    recipe: str = ""
    """Name of the recipe that yields it; empty: it comes from a registry, or is on the host already."""
    image: str
    """The reference to use: that of the recipe, or as it is written."""
    written: str
    how: Literal["from", "copy", "mount"]
    """FROM, COPY --from, or RUN --mount=...,from=."""
    stage: int = 0
    """Index of the stage that needs it."""
    file: Path
    line: int = 0
    column: int = 0


class Recipe(Struct, frozen=True, kw_only=True):
    """A folder that yields an image."""

    name: str
    """Unique over all roots: the folder's own, `torch` or `reasoning:2025.1`."""
    kind: Kind
    folder: Path
    """Absolute. Never written to."""
    root: Path
    """The configured root it was found under."""
    file: Path | None = None
    """Its Dockerfile; None for a workspace, whose Dockerfile is made of its hooks."""
    config: RecipeConfig = field(default_factory=RecipeConfig)
    images: tuple[str, ...] = ()
    """References it yields, `maintainer/cuda1180-ubuntu2204_ssh:latest`; the first is what other recipes
    stand on. Empty where its base is not known. Of rp: the name without the tag that tells the content."""
    stages: tuple[Stage, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    """All of them, in the order of the file; an image that is named twice stands here twice."""
    aliases: tuple[str, ...] = ()
    """Other names: links that point to the folder, `reasoning:latest`."""
    problems: tuple[Problem, ...] = ()
    """Why it cannot be built; empty: it can."""


class Overrides(Struct, frozen=True, kw_only=True):
    """What a command line says instead of recipe files; what is empty says nothing."""

    base: str = ""
    """Instead of the images from registries that stacks and workspaces stand on."""
    args: dict[str, str] = {}
    """Given to each recipe that declares them."""
    maintainer: str = ""
    targets: tuple[str, ...] = ()
    """Names, or folders, of the recipes that all that follows is said of; none: of all."""
    name: str = ""
    """As in `RecipeConfig`."""
    tag: str = ""
    port: str = ""
    """The first of its ports."""
    staged: tuple[Staged, ...] = ()
    """Also staged."""
    no_cache: bool = False
    authorized_keys: Path | None = None


class Graph(Protocol):
    """All recipes, and how they stand on each other."""

    recipes: Mapping[str, Recipe]
    """By name, in the order of roots and folders."""
    problems: tuple[Problem, ...]
    """All that is wrong, those of single recipes included."""

    def find(self, name: str) -> Recipe:
        """By its name, one of its other names, an image it yields or its folder. Raises `NoSuchTarget`."""

    def order(self, targets: Iterable[str]) -> list[list[Recipe]]:
        """What has to be built for these, parents first; the recipes of one level need none of each other.

        Raises `ConfigError` naming file, line, column and the chain that leads there, where a recipe that is
        needed cannot be built: a missing local base, a cycle, a broken file.
        """

    def base_of(self, recipe: Recipe) -> Dependency | None:
        """What its last (or `target`) stage stands on, stages followed; None for scratch, or not known."""

    def chain(self, recipe: Recipe) -> list[Recipe]:
        """The recipes it stands on by FROM, the lowest first, and itself last."""

    def parents(self, recipe: Recipe) -> list[Recipe]:
        """The recipes it needs directly, each once."""

    def children(self, recipe: Recipe) -> list[Recipe]:
        """The recipes that need it directly."""


class Origin(Struct, frozen=True, kw_only=True):
    """Where a value of a rendered recipe came from."""

    what: str
    """`base`, `arg python`, `tag`, `port`, `user alice`, `staged nvdiffrast`."""
    value: str
    """Never a secret's content."""
    source: str
    """`FILE:LINE`, `command line`, `settings`, `default`, or the recipe it comes from."""


class Rendered(Struct, frozen=True, kw_only=True):
    """A recipe, ready to be sent to a builder. Valid until the staging area it lies in is closed."""

    recipe: str
    kind: Kind
    folder: Path
    """The build context: files with their times and modes, what .dockerignore excludes left out. See
    `linked`."""
    dockerfile: Path
    """Outside `folder`, beside it."""
    tags: tuple[str, ...]
    """References to give the image; of an rp project the tag names the content."""
    base: str = ""
    """Reference that the target stage stands on; empty: scratch."""
    images: tuple[str, ...] = ()
    """References that have to be on the host (or be pulled) before, those of other recipes included."""
    parents: tuple[str, ...] = ()
    """Names of recipes whose images it needs."""
    build_args: dict[str, str] = {}
    secrets: dict[str, Secret] = {}
    target: str = ""
    platform: str = ""
    labels: dict[str, str] = {}
    """To put on the image: `DIGEST_LABEL`, `RECIPE_LABEL` and what the recipe says."""
    digest: str
    """64 hexadecimal digits over all that decides what is in the image: Dockerfile, context, arguments, base
    reference, the digests of parents. Equal digests: nothing to build. Secrets are not part of it."""
    no_cache: str = ""
    """Why the build cache is not used; empty: it is."""
    buildkit: str = ""
    """Why BuildKit (or Podman) is needed: `RUN --mount in line 7`, `a here-document in line 3`. Empty: it is
    not."""
    ports: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    services: dict[str, Service] = {}
    cluster: Output = field(default_factory=Output)
    pre_run: str = ""
    """Path in the image of a hook to run as root when a container starts; empty: none."""
    user: str = ""
    """Who shells run as: of workspaces and rp projects `UID:GID`; empty: what the image says."""
    linked: bool = False
    """Files and folders in `folder` may be absolute links to their sources: send what they lead to (`rsync
    --copy-unsafe-links`). All other links in it are relative and stay inside."""
    files: int = 0
    """Number of files of the context."""
    size: int = 0
    """Bytes of the context."""
    origins: tuple[Origin, ...] = ()
