"""The stages of a Dockerfile and the images they need, with arguments filled in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from backend.recipes import naming, variables
from backend.recipes.dockerfile import Dockerfile, DockerfileError, Instruction, Word
from backend.recipes.model import Stage

SCRATCH = "scratch"
_PLATFORM_ARGS = ("TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT")
_BUILD_ARGS = ("BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT")
_BUILDKIT_FLAGS = {
    "RUN": ("mount", "network", "security", "device"),
    "COPY": ("link", "chmod", "parents", "exclude"),
    "ADD": ("link", "chmod", "checksum", "keep-git-dir", "exclude", "unpack"),
}
"""Flags that the classic builder does not know."""


class Use(Struct, frozen=True):
    """A place where a Dockerfile names an image that is none of its stages."""

    image: str
    """Variables filled in; empty where one of them has no value."""
    word: Word
    """The name in the file, without what stands around it."""
    how: Literal["from", "copy", "mount"]
    stage: int
    variable: str = ""
    """The argument that it is made of alone."""


class Layout(Struct, frozen=True):
    """What a Dockerfile stands on."""

    stages: tuple[Stage, ...]
    uses: tuple[Use, ...]
    """Of the stages up to the target."""
    base: int = -1
    """Index in `uses` of what the target stage stands on; -1: scratch."""
    target: int = 0
    """Index of the target stage."""
    declared: frozenset[str] = frozenset()
    """Names of all arguments."""
    values: Mapping[str, str] = {}
    """Arguments that stand before the first FROM and have a value."""
    unset: tuple[str, ...] = ()
    """Those without one."""
    buildkit: str = ""
    """Why the classic builder cannot build it; empty: it can."""


def base_variable(dockerfile: Dockerfile, target: str = "") -> str:
    """The argument that the target stage's base is made of alone; empty where it is not."""
    written: dict[str, str] = {}
    text = ""
    for number, each in enumerate(each for each in dockerfile.instructions if each.name == "FROM"):
        text = each.words[0].text
        name = each.words[2].text.lower() if len(each.words) > 1 else ""
        # A stage that begins with an earlier one stands on what that one stands on.
        text = written.get(text.lower(), text)
        written[name or f"{number}."] = text
        if target and target.lower() in (name, str(number)):
            break
    return variables.whole(text)


def layout(
    dockerfile: Dockerfile, values: Mapping[str, str], *, target: str = "", platform: str = ""
) -> Layout:
    """Raises `DockerfileError` for a stage that is not there or a variable that cannot be read.

    `values`: build arguments. An argument without value leaves `Use.image` empty.
    """
    return _Reader(dockerfile, values, platform).read(target)


class _Reader:
    """Walks the instructions once."""

    def __init__(self, dockerfile: Dockerfile, values: Mapping[str, str], platform: str) -> None:
        self.file = dockerfile
        self.given = values
        self.known = dict(_platform_values(platform))
        self.unset: list[str] = []
        self.declared: set[str] = set()
        self.stages: list[Stage] = []
        self.names: dict[str, int] = {}
        self.uses: list[Use] = []
        self.inner: dict[int, int] = {}
        """Stage to the earlier stage that it begins with."""
        self.bases: dict[int, int] = {}
        """Stage to the index of its use."""
        self.reasons: list[tuple[int, str]] = []

    def read(self, target: str) -> Layout:
        for each in self.file.instructions:
            if each.name == "ARG":
                self.argument(each)
            elif each.name == "FROM":
                self.begin(each)
            elif (each.flags or each.heredocs) and each.name in ("COPY", "ADD", "RUN"):
                self.flags(each)
        stop = self.target(target)
        uses = [use for use in self.uses if use.stage <= stop]
        stage = stop
        while stage in self.inner:
            stage = self.inner[stage]
        lines = [why for index, why in self.reasons if index <= stop]
        return Layout(
            stages=tuple(self.stages),
            uses=tuple(uses),
            base=self.bases.get(stage, -1),
            target=stop,
            declared=frozenset(self.declared),
            values=self.known,
            unset=tuple(self.unset),
            buildkit=lines[0] if lines else "",
        )

    def argument(self, each: Instruction) -> None:
        for word in each.words:
            name, equals, default = word.text.partition("=")
            self.declared.add(name)
            if self.stages:
                continue
            if name in self.given:
                self.known[name] = self.given[name]
            elif equals:
                self.known[name] = self.expand(default, word)
            elif name not in self.known:
                self.unset.append(name)

    def begin(self, each: Instruction) -> None:
        index = len(self.stages)
        word = each.words[0]
        base = self.expand(word.text, word)
        name = each.words[2].text.lower() if len(each.words) > 1 else ""
        if base.lower() in self.names:
            self.inner[index] = self.names[base.lower()]
        elif base != SCRATCH:
            self.bases[index] = len(self.uses)
            self.uses.append(Use(base, word, "from", index, variables.whole(word.text)))
        platform = next((flag.text[9:] for flag in each.flags if flag.text.startswith("platform=")), "")
        used = {*variables.names(word.text), *variables.names(platform)}
        if found := used & {*_PLATFORM_ARGS, *_BUILD_ARGS}:
            self.reasons.append((index, f"{min(found)} in line {each.line}"))
        self.stages.append(
            Stage(
                index=index,
                name=name,
                written=word.text,
                base=base,
                platform=platform,
                line=word.line,
                column=word.column,
            )
        )
        if name:
            self.names[name] = index

    def flags(self, each: Instruction) -> None:
        stage = len(self.stages) - 1
        if each.heredocs:
            self.reasons.append((stage, f"a here-document in line {each.line}"))
        for flag in each.flags:
            key, _, value = flag.text.partition("=")
            if key in _BUILDKIT_FLAGS[each.name]:
                self.reasons.append((stage, f"{each.name} --{key} in line {each.line}"))
            if key == "from" and each.name == "COPY":
                self.use(flag, value, flag.text.index("=") + 1 if "=" in flag.text else 0, "copy")
            elif key == "mount" and each.name == "RUN":
                at = len("mount=")
                for part in value.split(","):
                    if part.startswith("from="):
                        self.use(flag, part[5:], at + 5, "mount")
                    at += len(part) + 1

    def use(self, flag: Word, image: str, at: int, how: Literal["copy", "mount"]) -> None:
        """An image that is named in a flag, unless it is a stage or a number of one."""
        stage = len(self.stages) - 1
        if not image or image.lower() in self.names or image.isdecimal() or image == SCRATCH:
            return
        start = flag.start + at
        word = Word(image, flag.line, flag.column + at, start, start + len(image))
        if not flag.whole:  # the place of its end is not where it seems
            word = Word(image, flag.line, flag.column, flag.start, flag.end)
        self.uses.append(Use(image, word, how, stage))

    def target(self, name: str) -> int:
        last = len(self.stages) - 1
        if not name:
            return last
        if name.lower() in self.names:
            return self.names[name.lower()]
        if name.isdecimal() and int(name) <= last:
            return int(name)
        there = ", ".join(self.names) or "none has a name"
        raise DockerfileError(f"there is no stage {name!r:.60}.", line=1, hint=f"Stages: {there}.")

    def expand(self, text: str, word: Word) -> str:
        """Empty where a variable that it uses has no value."""
        try:
            if any(name not in self.known for name in variables.plain_names(text)):
                return ""
            return variables.expand(text, self.known, self.file.escape)
        except variables.Unset as error:
            why = f"{error}."
        except variables.BadVariable as error:
            why = f"{error}, in {word.text!r:.80}."
        raise DockerfileError(why, line=word.line, column=word.column)


@lru_cache(maxsize=16)
def _platform_values(platform: str) -> dict[str, str]:
    """What BuildKit knows of the platform that is built for; of an unknown one what most machines are."""
    system, _, rest = (platform or "linux/amd64").partition("/")
    arch, _, variant = rest.partition("/")
    values = (f"{system}/{rest}", system, arch, variant)
    return {**dict(zip(_PLATFORM_ARGS, values, strict=True)), **dict(zip(_BUILD_ARGS, values, strict=True))}


def why_no_base(use: Use, found: Layout) -> str:
    """Why an image's name came out empty."""
    missing = [name for name in variables.plain_names(use.word.text) if name not in found.values]
    if not missing:
        return f"{use.word.text} has no value here."
    if missing[0] in found.unset:
        return f"the argument {missing[0]} has no value."
    return f"no ARG {missing[0]} stands before the first FROM."


def reference_problem(use: Use) -> tuple[str, str]:
    """What is wrong with an image's name, and a hint."""
    if problem := naming.problem(use.image):
        return f"{use.image!r:.100} {problem}", f"Possible is: {naming.proposed(use.image)}"
    return "", ""
