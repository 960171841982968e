"""Pages on the web of what a working copy holds, for GitHub, GitLab, Gitea and Forgejo. Pure."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote, urlsplit

from msgspec import Struct

from backend.errors import UsageError

Forge = Literal["github", "gitlab", "gitea"]
_KNOWN: tuple[tuple[str, Forge], ...] = (
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("gitea", "gitea"),
    ("forgejo", "gitea"),
    ("codeberg", "gitea"),
)
_SCP = re.compile(r"(?:[^@/]+@)?(?P<host>\[[^]]+\]|[^:/]+):(?!//)(?P<path>.+)")
"""git@host:owner/name.git"""


class Site(Struct, frozen=True):
    """A repository on a forge."""

    forge: Forge
    page: str
    """Its page, `https://host/owner/name`, without what lets people in."""

    def commit(self, sha: str) -> str:
        """The page of a commit."""
        return f"{self.page}{self._dash}/commit/{quote(sha)}"

    def branch(self, name: str) -> str:
        """The files of a branch."""
        kind = "src/branch" if self.forge == "gitea" else "tree"
        return f"{self.page}{self._dash}/{kind}/{quote(name)}"

    def file(self, sha: str, path: str, line: int = 0) -> str:
        """A file at a commit, and a line of it."""
        kind = "src/commit" if self.forge == "gitea" else "blob"
        return f"{self.page}{self._dash}/{kind}/{quote(sha)}/{quote(path)}{f'#L{line}' if line else ''}"

    def request(self, branch: str, onto: str) -> str:
        """Where a pull (merge) request of a branch is opened."""
        if self.forge == "gitlab":
            query = f"merge_request%5Bsource_branch%5D={quote(branch, safe='')}"
            query += f"&merge_request%5Btarget_branch%5D={quote(onto, safe='')}"
            return f"{self.page}/-/merge_requests/new?{query}"
        tail = "?expand=1" if self.forge == "github" else ""
        return f"{self.page}/compare/{quote(onto)}...{quote(branch)}{tail}"

    @property
    def _dash(self) -> str:
        return "/-" if self.forge == "gitlab" else ""


def site(url: str, forge: Forge | None = None) -> Site:
    """The site of a remote's URL, in any of git's forms; `forge` where its name does not tell.

    Raises `UsageError` for one that has no page: a path, or a host whose kind is not known.
    """
    host, path = _parts(url)
    if not host:
        raise UsageError(f"{url!r:.100} is no repository on the web.")
    kind = forge or next((known for word, known in _KNOWN if word in host.lower()), None)
    if kind is None:
        raise UsageError(
            f"what runs on {host} is not known.", hint="Say --forge github, gitlab or gitea (Forgejo too)."
        )
    path = path.strip("/").removesuffix(".git").strip("/")
    return Site(kind, f"https://{host}/{quote(path)}")


def _parts(url: str) -> tuple[str, str]:
    """Host and path; of URLs of the web with their port, of others without."""
    if "://" not in url:
        found = _SCP.fullmatch(url)
        return (found["host"].strip("[]"), found["path"]) if found else ("", "")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return "", ""
    if split.scheme not in ("http", "https", "ssh", "git", "git+ssh"):
        return "", ""
    host = split.hostname or ""
    return (f"{host}:{port}" if port and split.scheme in ("http", "https") else host), split.path
