"""Which profile with which hosts: from what was said, the profile, the context."""

from __future__ import annotations

from collections.abc import Sequence

from backend.config import Config, SyncProfile
from backend.errors import NoSuchTarget, Refused, UsageError


def choose(
    config: Config,
    verb: str,
    profile: str | None,
    *,
    hosts: Sequence[str] = (),
    tags: Sequence[str] = (),
    context: str | None = None,
) -> tuple[SyncProfile, tuple[str, ...]]:
    """Raises `NoSuchTarget` for names nobody has, `UsageError` where nothing says which is meant."""
    meant = config.context(context) if context else None
    name = profile or (meant.sync if meant else None) or _usual(config, verb)
    if profile in {each.name for each in config.hosts} - {each.name for each in config.profiles}:
        raise UsageError(
            f"{profile!r} is a host, not a profile.", hint=f"Say --host {profile}, once for each."
        )
    found = config.profile(name)
    return found, _hosts(config, found, hosts, tags, meant.host if meant else None)


def of_hosts(config: Config, verb: str, hosts: Sequence[str]) -> str | None:
    """The one profile of sync.yaml that says it is for all these hosts; None: none does, or several."""
    found = []
    for profile in config.profiles:
        ways = {rule.direction for rule in profile.rules}
        tagged = {host.name for host in config.hosts if set(host.tags) & set(profile.tags)}
        meant = tagged | set(profile.hosts)
        if hosts and meant >= set(hosts) and ways & {verb, "both"} and not profile.built_in:
            found.append(profile.name)
    return found[0] if len(found) == 1 else None


def writable(config: Config, host: str) -> None:
    """Raise `Refused` for a host whose files are not to be changed."""
    if config.host(host).read_only:
        raise Refused(f"host {host} is read-only.", hint="See read_only in hosts.yaml.")


def _usual(config: Config, verb: str) -> str:
    """The profile that a verb means by itself."""
    if verb in ("push", "pull"):
        return verb
    own = [each.name for each in config.profiles if not each.built_in]
    if len(own) == 1:
        return own[0]
    known = ", ".join(each.name for each in config.profiles)
    raise UsageError("no profile is named.", hint=f"Name one: {known}.")


def _hosts(
    config: Config, profile: SyncProfile, hosts: Sequence[str], tags: Sequence[str], context: str | None
) -> tuple[str, ...]:
    found = [config.host(name).name for name in hosts]
    for tag in tags:
        tagged = [host.name for host in config.hosts if tag in host.tags and not host.skip]
        if not tagged:
            raise NoSuchTarget(f"no host has the tag {tag!r}.", hint="See: berth hosts")
        found += tagged
    if context is not None and not found:
        found = [context]
    if not found:
        found = [config.host(name).name for name in profile.hosts]
        found += [host.name for host in config.hosts if set(host.tags) & set(profile.tags) and not host.skip]
    if not found:
        found = _usual_host(config)
    return tuple(dict.fromkeys(found))


def _usual_host(config: Config) -> list[str]:
    """That of the context used last, or the only one there is."""
    from backend.lastcontext import last_context

    last = last_context()
    for each in config.contexts:
        if each.name == last:
            return [each.host]
    remote = [host.name for host in config.hosts if not host.local and not host.skip]
    if len(remote) == 1:
        return remote
    raise UsageError(
        "nothing says which host is meant.",
        hint="Say --host, --tag or --context, or write `hosts` in the profile.",
    )
