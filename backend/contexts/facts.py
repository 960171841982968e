"""What has to be asked of a host before a container is created there: one command, no shell on our words."""

from __future__ import annotations

from backend.contexts.create import HostFacts
from backend.errors import ActionFailed
from backend.link import Link
from backend.text import printable

_ASK = r"""
S=${BERTH_SYSFS_ROOT:-/sys}
printf 'home=%s\nuser=%s\n' "$HOME" "$(id -un)"
for node in /dev/dri/renderD*; do
    [ -e "$node" ] || continue
    id=$(cat "$S/class/drm/${node##*/}/device/unique_id" 2>/dev/null) && printf 'render=%s %s\n' "$id" "$node"
    printf 'group=%s\n' "$(stat -c %g "$node")"
done
[ -e /dev/kfd ] && printf 'group=%s\n' "$(stat -c %g /dev/kfd)"
for list in /sys/devices/system/node/node[0-9]*/cpulist; do
    [ -r "$list" ] || continue
    node=${list%/cpulist}
    printf 'node=%s %s\n' "${node##*/node}" "$(cat "$list")"
done
:
"""


async def ask(link: Link) -> tuple[HostFacts, dict[int, str]]:
    """The host's facts, and the CPU list of each NUMA node. Raises `ActionFailed` without an answer."""
    done = await link.run(["sh", "-c", _ASK], timeout=15)
    values: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        values.setdefault(key, []).append(value)
    if not values.get("home") or not values.get("user"):
        said = printable(done.stderr.decode("utf-8", "replace").strip(), 200)
        raise ActionFailed(f"{link.name}: cannot be asked about itself ({said or 'no answer'}).")
    pairs = [value.split(" ", 1) for value in values.get("render", ()) if " " in value]
    nodes = [value.split(" ", 1) for value in values.get("node", ()) if " " in value]
    groups = sorted({int(value) for value in values.get("group", ()) if value.isdigit()} - {0})
    facts = HostFacts(
        home=values["home"][0],
        user=values["user"][0],
        render_nodes={f"amd-{unique}": node for unique, node in pairs},
        gpu_groups=groups,
    )
    return facts, {int(node): cpus for node, cpus in nodes if node.isdigit()}
