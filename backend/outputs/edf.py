"""An environment (EDF) with all it stands on: what a cluster makes of it, and where each value came from.

How values of several files come together is that of CSCS' container engine and of its successor, the Sarus
suite, alike: a later file overwrites single values, goes through tables (`env`, `annotations`, nested keys
with dots) key by key, and appends to lists (`mounts`, `devices`). A base is read before the file that names
it, at most ten deep. The two differ in what they accept: see `FORMS`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from backend.errors import ConfigError, NoSuchTarget

Form = Literal["cscs", "sarus"]
DEPTH = 10
_TABLES = ("env", "annotations")
_LISTS = ("mounts", "devices")
_TYPES: dict[str, tuple[type, str]] = {
    "image": (str, "a text"),
    "workdir": (str, "a text"),
    "entrypoint": (bool, "true or false"),
    "writable": (bool, "true or false"),
    "mounts": (list, "a list of texts"),
    "devices": (list, "a list of texts"),
    "env": (dict, "a table"),
    "annotations": (dict, "a table"),
}
FORMS: dict[Form, str] = {
    "cscs": "the container engine of CSCS: image files (.sqsh) and `mounts` with one path; no devices",
    "sarus": "the Sarus suite: images by reference only, `SOURCE:TARGET` mounts, devices",
}
Read = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""`(name, folder)` -> `{"path", "text"}`; the text is None where there is no such file."""


class Value(Struct, frozen=True, kw_only=True):
    """One value of the whole, or one entry of a list."""

    key: str
    """`image`, `mounts`, `env.HF_HOME`, `annotations.com.hooks.cxi.enabled`."""
    value: str | bool
    file: str
    """Where it stands, a path on the host."""
    overwrites: str = ""
    """The file whose value it took the place of; empty: none."""


class Environment(Struct, frozen=True, kw_only=True):
    """An environment, merged."""

    name: str
    files: tuple[str, ...]
    """The first is the lowest base."""
    values: tuple[Value, ...]
    problems: tuple[str, ...] = ()
    """What the asked form does not know or cannot do."""

    def plain(self) -> dict[str, Any]:
        """As one file would say it."""
        found: dict[str, Any] = {}
        for each in self.values:
            head, _, rest = each.key.partition(".")
            if rest:
                found.setdefault(head, {})[rest] = each.value
            elif head in _LISTS:
                found.setdefault(head, []).append(each.value)
            else:
                found[head] = each.value
        return found


async def load(name: str, read: Read, *, form: Form = "cscs") -> Environment:
    """Read an environment and its bases. Raises `NoSuchTarget`, or `ConfigError` with file, line and key."""
    files: list[tuple[str, dict[str, Any]]] = []
    await _collect(name, "", read, (), files)
    values: list[Value] = []
    for path, content in files:
        for key, value in _flat(path, content):
            _put(values, Value(key=key, value=value, file=path))
    problems = [text for each in values if (text := _problem(each, form))]
    if not any(each.key == "image" for each in values):
        problems.append("no file says which image: commands run outside of any container")
    return Environment(
        name=name, files=tuple(path for path, _ in files), values=tuple(values), problems=tuple(problems)
    )


async def _collect(
    name: str, folder: str, read: Read, above: tuple[str, ...], files: list[tuple[str, dict[str, Any]]]
) -> None:
    """Bases first. `above`: the files that lead here."""
    found = await read(name, folder)
    path, text = str(found["path"]), found["text"]
    if text is None:
        asked = f" (asked for by {above[-1]})" if above else ""
        raise NoSuchTarget(
            f"there is no environment {name}{asked}: {path} is not there.",
            hint="An environment is a path, or a name in $EDF_PATH (~/.edf), without .toml.",
        )
    if path in above:
        raise ConfigError(f"{path} stands on itself: {' -> '.join((*above, path))}.")
    if len(above) >= DEPTH:
        raise ConfigError(f"{above[0]}: more than {DEPTH} environments stand on each other.")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}.") from None
    bases = content.pop("base_environment", [])
    for base in [bases] if isinstance(bases, str) else bases:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: base_environment is a text or a list of texts.")
        if base:
            await _collect(base, path.rpartition("/")[0], read, (*above, path), files)
    files.append((path, content))


def _flat(path: str, content: Mapping[str, Any]) -> Iterator[tuple[str, str | bool]]:
    for key, value in content.items():
        wanted = _TYPES.get(key)
        if wanted is not None and not isinstance(value, wanted[0]):
            raise ConfigError(f"{path}: {key} is {wanted[1]}, not {value!r}.")
        if isinstance(value, dict):
            for name, leaf in _leaves(value):
                yield f"{key}.{name}", leaf
        elif isinstance(value, list):
            for each in value:
                if not isinstance(each, str):
                    raise ConfigError(f"{path}: {key} is a list of texts, not of {each!r}.")
                yield key, each
        else:
            yield key, value if isinstance(value, bool) else str(value)


def _leaves(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            for name, leaf in _leaves(value):
                yield f"{key}.{name}", leaf
        else:
            yield key, value if isinstance(value, str) else str(value).lower()


def _put(values: list[Value], new: Value) -> None:
    if new.key in _LISTS:
        values.append(new)
        return
    for place, old in enumerate(values):
        if old.key == new.key:
            values[place] = Value(key=new.key, value=new.value, file=new.file, overwrites=old.file)
            return
    values.append(new)


def _problem(each: Value, form: Form) -> str:
    """Why this form does not take a value; empty: it does."""
    head = each.key.partition(".")[0]
    text = str(each.value)
    if head not in _TYPES:
        return f"{each.file}: {each.key} is no key of environments"
    if form == "cscs" and head == "devices":
        return f"{each.file}: devices are not known to this form"
    if form == "sarus":
        if head == "image" and (text.startswith(("/", ".", "~", "$")) or text.endswith(".sqsh")):
            return f"{each.file}: an image file ({text}) is not taken: push it and name its reference"
        if head == "mounts" and ":" not in text:
            return f"{each.file}: the mount {text} needs its target: {text}:{text}"
    return ""


def form_of(environment: Environment, form: Form) -> dict[str, Any]:
    """As one file of that form would say it: what can be said otherwise is, the rest is left out."""
    found = environment.plain()
    if form == "cscs":
        found.pop("devices", None)
    if form == "sarus":
        if "mounts" in found:
            found["mounts"] = [each if ":" in each else f"{each}:{each}" for each in found["mounts"]]
        if _problem(Value(key="image", value=found.get("image", ""), file=""), form):
            found.pop("image")
    return {key: value for key, value in found.items() if key in _TYPES}


def as_toml(environment: Environment, form: Form) -> str:
    """The text of that one file."""
    import tomlkit

    return tomlkit.dumps(form_of(environment, form))
