"""Runs Slurm's programs on the login node, and says in our errors what they complain about."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, Unreachable, UsageError
from backend.link import Completed, Link
from backend.text import printable

TIMEOUT = 30.0
"""Seconds for one answer; slurmctld may be busy."""
_ENVIRONMENT = ("SLURM_TIME_FORMAT=%s", "LC_ALL=C.UTF-8")
_KINDS: tuple[tuple[type[BerthError], re.Pattern[str]], ...] = tuple(
    (kind, re.compile(words, re.IGNORECASE))
    for kind, words in (
        (NoSuchTarget, r"invalid job id|no such job|job not found"),
        (
            Unreachable,
            r"unable to contact slurm|connection refused|timed out|zero bytes were transmitted"
            r"|communication connection failure|can not authenticate|munge|configuration source",
        ),
        (
            Refused,
            r"permission denied|access denied|invalid user id|not permitted|requires operator"
            r"|invalid --nice|only privileged|not allowed",
        ),
        (
            UsageError,
            r"invalid|not available|can ?not be satisfied|unrecognized|unable to parse|more processors"
            r"|exceeds|violates",
        ),
    )
)
_HINTS: dict[type[BerthError], str] = {
    Unreachable: "Is slurmctld up? scontrol ping on the login node says.",
    NoSuchTarget: "Slurm forgets ended jobs after some minutes. See: berth jobs",
}


class Client:
    """Of one login node."""

    def __init__(self, host: str, link: Callable[[], Awaitable[Link]]) -> None:
        self.host = host
        self._link = link
        self._login = False
        """Whether Slurm is only on the PATH of login shells."""

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = TIMEOUT) -> str:
        """What it printed. Raises what `error_of` makes of its complaint."""
        done = await self.try_(argv, input=input, timeout=timeout)
        if done.returncode:
            raise self.error_of(done)
        return done.stdout.decode(errors="replace")

    async def try_(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = TIMEOUT) -> Completed:
        """How it went."""
        link = await self._link()
        try:
            done = await link.run(self._words(argv), input=input, timeout=timeout)
            if done.returncode == 127 and not self._login:
                self._login = True
                done = await link.run(self._words(argv), input=input, timeout=timeout)
        except TimeoutError:
            raise Unreachable(
                f"{self.host}: {argv[0]} did not answer within {timeout:.0f} s.", hint=_HINTS[Unreachable]
            ) from None
        if done.returncode == 127:
            self._login = False
            raise ActionFailed(
                f"{self.host}: there is no {argv[0]}.",
                hint="`queue: slurm` is for login nodes. Are Slurm's programs on the PATH there?",
            )
        return done

    def _words(self, argv: Sequence[str]) -> list[str]:
        words = ["env", *_ENVIRONMENT, *argv]
        return ["bash", "-lc", 'exec "$@"', "bash", *words] if self._login else words

    def error_of(self, done: Completed) -> BerthError:
        """Slurm's complaint as one of ours."""
        said = complaint(done)
        kind = next((kind for kind, words in _KINDS if words.search(said)), ActionFailed)
        return kind(f"{self.host}: Slurm says: {said}", hint=_HINTS.get(kind, ""))


def complaint(done: Completed) -> str:
    """The sentences of its standard error, without the program's name in front of each."""
    text = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
    found = []
    for line in text.splitlines():
        line = re.sub(r"^\w+: (?:error: |fatal: |Warning: )?", "", printable(line).strip(), count=1)
        if line and line not in found:
            found.append(line)
    return "; ".join(found[-4:]) or f"exit code {done.returncode}"
