"""Which services a context has, and what each needs.

A workspace's context carries those of its recipe in a label, so that they are known wherever the context is.
Without any, and in contexts of other images, there are the usual ones.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping

import msgspec

from backend.config import Context
from backend.config.schema import Service
from backend.errors import NoSuchTarget, UsageError

WORKSPACE_LABEL = "berth.workspace"
SERVICES_LABEL = "berth.services"
_DECODER = msgspec.json.Decoder(dict[str, Service])
_TOKENS = ("{token}", "BERTH_TOKEN", "JUPYTER_TOKEN")


def script(name: str) -> str:
    """The text of one of our scripts."""
    data = pkgutil.get_data("backend.workspaces", f"scripts/{name}.sh")
    assert data is not None
    return data.decode()


def _usual(name: str, port: int, path: str = "/") -> Service:
    return Service(command=("sh", "-c", script(name)), port=port, path=path)


def usual() -> dict[str, Service]:
    """What is there without being declared."""
    return {
        "jupyter": _usual("jupyter", 8888),
        "lab": _usual("lab", 8888, "/lab"),
        "airflow": _usual("airflow", 8080),
        "tensorboard": _usual("tensorboard", 6006),
    }


def _missing(package: str) -> str:
    return f"Put it there: pip install {package}. Of a workspace, requirements.txt needs the line: {package}"


SAME = {"lab": "jupyter"}
"""Services that are pages of another one: there is one process for both."""
MISSING = {
    "jupyter": _missing("jupyterlab"),
    "lab": _missing("jupyterlab"),
    "airflow": _missing("apache-airflow"),
    "tensorboard": _missing("tensorboard"),
}
"""What to do where the program of a usual service is not in the image."""


def of(context: Context) -> dict[str, Service]:
    """The services of a context: the usual ones, those that its label declares, and those of its file.

    The latter win.
    """
    text = context.options.labels.get(SERVICES_LABEL, "")
    try:
        declared = _DECODER.decode(text) if text else {}
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"context {context.name}: its label {SERVICES_LABEL} cannot be read: {error}.",
            hint="Mend it with: berth context edit",
        ) from None
    return usual() | declared | context.services


def find(context: Context, name: str) -> Service:
    """One of them. Raises `NoSuchTarget` naming those there are."""
    known = of(context)
    if name not in known:
        raise NoSuchTarget(
            f"{context.name} has no service {name!r:.60}.",
            hint=f"It has: {', '.join(known)}. Others are declared under `services:` in its file, or in "
            "container/berth.yaml.",
        )
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or len(name) > 60:
        raise UsageError(f"a service cannot be called {name!r:.80}.", hint="Letters, digits, - and _.")
    return known[name]


def label(services: Mapping[str, Service]) -> str:
    """The declared services as the text of a label; empty for none."""
    return msgspec.json.encode(dict(services)).decode() if services else ""


def wants_token(name: str, service: Service) -> bool:
    """Whether its page is opened with the token."""
    words = " ".join(service.command)
    return (
        SAME.get(name, name) == "jupyter"
        or any(each in words for each in _TOKENS)
        or "jupyter" in words.split(" ")[0]
    )


def filled(text: str, values: Mapping[str, str]) -> str:
    """`{port}`, `{address}` and `{token}` replaced, and no other brace."""
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text
