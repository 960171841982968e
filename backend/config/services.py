"""Services of containers as they are written, in `contexts/NAME.yaml` and in `berth.yaml`."""

from __future__ import annotations

import re

from backend.config.schema import Service
from backend.config.values import Value, content, line, list_of, port, quoted, word

NAME = r"[A-Za-z][A-Za-z0-9_-]{0,59}"
_TUNNEL = rf"([0-9]{{1,5}}:)?({NAME}|[0-9]{{1,5}})"


def service(value: Value) -> Service:
    """One service. Only its port has to be said."""
    found = value.fields(
        {"command": list_of(content), "port": port, "user": word, "path": word, "ready": line}
    )
    if "port" not in found:
        raise value.fail("`port` is missing.", hint="Write `port: 8080`.")
    return Service(**found)


def services(value: Value) -> dict[str, Service]:
    """Services by name."""
    found = {}
    for name, each in value.mapping().items():
        if not re.fullmatch(NAME, name, re.ASCII):
            raise each.fail(f"a service cannot be called {quoted(name)}.", hint="Letters, digits, - and _.")
        found[name] = service(each)
    return found


TUNNEL_HINT = "Write the name of a service (jupyter), a port (6006), or LOCAL:PORT (8080:80)."


def tunnel(value: Value) -> str:
    """What `is_tunnel` takes."""
    text = word(value)
    if not is_tunnel(text):
        raise value.fail(f"{quoted(text)} is no tunnel.", hint=TUNNEL_HINT)
    return text


def is_tunnel(text: str) -> bool:
    """Whether it is the name of a service or a port, perhaps with the port of this machine before it."""
    ports = [int(part) for part in text.split(":") if re.fullmatch("[0-9]{1,5}", part, re.ASCII)]
    return bool(re.fullmatch(_TUNNEL, text, re.ASCII)) and all(0 < each < 65536 for each in ports)
