"""`berth.yaml` beside a Dockerfile: what the recipe needs beyond it. Every key may be missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from backend.config.schema import Service
from backend.config.services import service
from backend.config.values import (
    Value,
    content,
    flag,
    line,
    list_of,
    local_path,
    mapping_of,
    open_file,
    port,
    quoted,
    word,
)
from backend.recipes import naming
from backend.recipes.model import Output, RecipeConfig, Secret, Staged, User

FILE = "berth.yaml"
MOST_ID = 2**32 - 2
"""The highest number of a user or group on Linux."""


def read(path: Path) -> RecipeConfig:
    """Raises `ConfigError` naming file, line and key; a file that is not there says nothing."""
    value = open_file(path)
    if value is None:
        return RecipeConfig()
    found = value.fields(_RECIPE)
    lines = {key.text: node.line for key, node in value.node.pairs or () if key.text}
    return RecipeConfig(file=path, lines=lines, **found)


def source(text: str) -> str:
    """URL of a repository: `OWNER/NAME` means GitHub."""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", text, re.ASCII) and not text.startswith("."):
        return f"https://github.com/{text}"
    return text


def last_part(url: str) -> str:
    """What a clone of it is called."""
    return url.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")


def target_problem(text: str) -> str:
    """Why this cannot be a place in the build context; nothing if it can."""
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or path.parts in ((), (".",)):
        return "has to be a path inside the build context, like data/weights."
    return "holds control characters." if not text.isprintable() else ""


def _reference(value: Value) -> str:
    text = word(value)
    if problem := naming.problem(text):
        raise value.fail(f"{quoted(text)} {problem}", hint=_proposal(text))
    return text


def _base(value: Value) -> str:
    """A recipe or an image; both may be written the same way."""
    text = word(value)
    if problem := naming.problem(text.lower()):
        raise value.fail(f"{quoted(text)} {problem}", hint=_proposal(text))
    return text


def _image(value: Value) -> str:
    text = _reference(value)
    if ":" in text.rpartition("/")[2] or "@" in text:
        raise value.fail(f"{quoted(text)} holds a tag.", hint="Write it below `tags`.")
    return text


def _maintainer(value: Value) -> str:
    text = _image(value)
    if "/" in text and "." not in text.partition("/")[0]:
        raise value.fail(f"{quoted(text)} cannot be a maintainer.", hint=_proposal(text.replace("/", "-")))
    return text


def _tag(value: Value) -> str:
    text = word(value)
    if not naming.TAG.fullmatch(text):
        raise value.fail(f"{quoted(text)} is no tag.", hint=f"Possible is: {naming.proposed_tag(text)}")
    return text


def _proposal(text: str) -> str:
    return f"Possible is: {naming.proposed(text)}"


def _target(value: Value) -> str:
    text = line(value)
    if problem := target_problem(text):
        raise value.fail(f"{quoted(text)} {problem}")
    return str(PurePosixPath(text))


def _url(value: Value) -> str:
    text = source(word(value))
    if re.match(r"[./~]", text):
        return str(local_path(value))
    return text


def _staged(value: Value) -> Staged:
    """`file: PATH`, `project: FOLDER` or `git: URL`, with `to`, and `ref` for git."""
    if value.node.text is not None:
        path = str(local_path(value))
        return Staged(kind="file", source=path, target=Path(path).name)
    found = value.fields({"file": local_path, "project": local_path, "git": _url, "to": _target, "ref": word})
    kinds = [kind for kind in ("file", "project", "git") if kind in found]
    if len(kinds) != 1:
        raise value.fail("has to name one of `file`, `project` and `git`.")
    kind = kinds[0]
    if "ref" in found and kind != "git":
        raise value.fail("`ref` is only for `git`.")
    named = str(found[kind])
    target = found.get("to") or last_part(named)
    if problem := target_problem(target):
        raise value.fail(f"{quoted(target)} {problem}", hint="Say where with `to:`.")
    return Staged(kind=kind, source=named, target=target, ref=found.get("ref", ""))


def _number(value: Value) -> int:
    text = value.text
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) or int(text) > MOST_ID:
        raise value.fail(f"{quoted(text)} is no id.", hint=f"Ids are 0-{MOST_ID}.")
    return int(text)


def _unix_name(value: Value) -> str:
    text = word(value)
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", text):
        hint = "Up to 32 lower case letters, digits, _ and -, not beginning with a digit."
        raise value.fail(f"{quoted(text)} cannot be a name of a user or group.", hint=hint)
    return text


def _group(value: Value) -> str:
    """`docker`, or `docker:999`."""
    name, colon, number = value.text.partition(":")
    found = _unix_name(Value(value.source, value.key, value.node.scalar(name)))
    if not colon:
        return found
    return f"{found}:{_number(Value(value.source, value.key, value.node.scalar(number)))}"


def _shell(value: Value) -> str:
    text = word(value)
    if not re.fullmatch(r"/[\w./-]+", text, re.ASCII):
        raise value.fail(f"{quoted(text)} is no path of a shell.", hint="Write it like /bin/bash.")
    return text


_USER: dict[str, Callable[[Value], Any]] = {
    "uid": _number,
    "gid": _number,
    "groups": list_of(_group),
    "sudo": flag,
    "shell": _shell,
}


def _users(value: Value) -> tuple[User, ...]:
    """Name to a number, or to `uid`, `gid`, `groups`, `sudo` and `shell`."""
    found: list[User] = []
    for name, item in value.mapping().items():
        called = _unix_name(Value(item.source, item.key, item.node.scalar(name)))
        if item.node.text is not None:
            user = User(name=called, uid=_number(item))
        else:
            fields = item.fields(_USER)
            if "uid" not in fields:
                raise item.fail("`uid` is missing.", hint="Write `uid: 1000`.")
            user = User(name=called, **fields)
        if user.uid == 0 or user.name == "root":
            raise item.fail("root is in every image already.")
        if twin := next((each for each in found if each.uid == user.uid), None):
            raise item.fail(f"has the uid of {twin.name}, {user.uid}.")
        found.append(user)
    return tuple(found)


def _port(value: Value) -> str:
    """`8888`, `53/udp`."""
    number, slash, protocol = value.text.partition("/")
    if slash and protocol not in ("tcp", "udp", "sctp"):
        raise value.fail(f"{quoted(protocol)} is no protocol.", hint="tcp, udp and sctp are.")
    found = port(Value(value.source, value.key, value.node.scalar(number)))
    return f"{found}/{protocol}" if protocol not in ("", "tcp") else str(found)


def _secret(value: Value) -> Secret:
    found = value.fields({"file": local_path, "env": word})
    if len(found) != 1:
        raise value.fail("has to name one of `file` and `env`.")
    return Secret(**found)


def _service(value: Value) -> Service:
    """What a recipe declares is started by berth: nothing else runs in its container."""
    found = service(value)
    if not found.command:
        raise value.fail("`command` is missing.", hint="Write `command: [...]` and `port: 8080`.")
    return found


def _output(value: Value) -> Output:
    return Output(
        **value.fields(
            {
                "mounts": list_of(word),
                "workdir": word,
                "annotations": mapping_of(content),
                "env": mapping_of(content),
            }
        )
    )


def _platform(value: Value) -> str:
    text = word(value)
    if not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?", text):
        raise value.fail(f"{quoted(text)} is no platform.", hint="Write it like linux/amd64.")
    return text


def _reason(value: Value) -> str:
    text = line(value)
    if text.lower() in ("true", "yes", "on", "false", "no", "off"):
        raise value.fail("has to say why.", hint="Like `no_cache: the project changes without its version`.")
    return text


_RECIPE: dict[str, Callable[[Value], Any]] = {
    "base": _base,
    "args": mapping_of(content),
    "staged": list_of(_staged),
    "allow_keys": list_of(line),
    "users": _users,
    "authorized_keys": local_path,
    "ports": list_of(_port),
    "maintainer": _maintainer,
    "name": _image,
    "tags": list_of(_tag),
    "target": word,
    "platform": _platform,
    "no_cache": _reason,
    "secrets": mapping_of(_secret),
    "services": mapping_of(_service),
    "cluster": _output,
}
"""Keys of the file, and who reads each."""
