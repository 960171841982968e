"""Working copies of git on this machine: pages on the web, and branches for changes of cluster images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from backend.actions.registry import Option, action
from backend.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from backend.actions.context import ActionContext
    from backend.repository.git import Repository
    from backend.repository.links import Forge

_Forge = Annotated[
    Literal["", "github", "gitlab", "gitea"], Option("what runs there, where its name does not tell")
]


@action(on=None, verb="link", title="web link", changes=False, group="Repositories")
async def link(
    ctx: ActionContext,
    target: None,
    *,
    what: Annotated[
        Literal["commit", "branch", "request", "file"],
        Option("commit (default), branch, pull request, or file", positional=True),
    ] = "commit",
    path: Annotated[str, Option("the file, and a line of it: train.py:42", positional=True)] = "",
    folder: Annotated[str, Option("a folder of the working copy; else the current one")] = ".",
    forge: _Forge = "",
    show: Annotated[bool, Option("open it in the browser")] = False,
) -> str:
    """Print the web page of the current commit, branch or pull request of a working copy of git.

    Says so where the page is not there yet because the commit was not pushed.
    """
    from backend.config.paths import expanded
    from backend.repository.git import Repository

    repository = await Repository.at(expanded(folder))
    page = await _page(ctx, repository, what, path, forge or None)
    if show:
        import asyncio
        import webbrowser

        await asyncio.to_thread(webbrowser.open, page)
    ctx.give({"page": page})
    return page


async def _page(ctx: ActionContext, repository: Repository, what: str, path: str, forge: Forge | None) -> str:
    from backend.config.paths import absolute, expanded
    from backend.errors import UsageError
    from backend.repository.links import site

    remote, url = await repository.remote()
    place = site(url, forge)
    commit = await repository.ask("rev-parse", "HEAD")
    branch = await repository.branch()
    if not await repository.try_("branch", "--remotes", "--contains", commit, "--list", f"{remote}/*"):
        ctx.report(f"! {commit[:12]} is not on {remote} yet: git push {remote} HEAD")
    if what == "file":
        name, _, line = path.rpartition(":") if path.rpartition(":")[2].isdigit() else (path, "", "")
        found = await repository.try_("ls-files", "--full-name", "--", str(absolute(expanded(name))))
        if not found or "\n" in found:
            raise UsageError(f"{name!r:.200} is no file that git keeps in {repository.folder}.")
        return place.file(commit, found, int(line or 0))
    if what == "commit":
        return place.commit(commit)
    if not branch:
        raise UsageError("no branch is checked out.", hint="Make one: git switch -c NAME")
    if what == "branch":
        return place.branch(branch)
    onto = await repository.default_branch(remote)
    if branch == onto:
        raise UsageError(f"{branch} is the branch that requests are made to.", hint="git switch -c NAME")
    return place.request(branch, onto)


@action(on=None, verb="images branch", title="branch for a change", group="Images")
async def images_branch(
    ctx: ActionContext,
    target: None,
    *,
    name: Annotated[
        str, Option("project of the repository: reasoning:2025.1", positional=True, place="RECIPE")
    ],
    root: Annotated[str, Option("the repository; else the first root of settings", ask=True)] = "",
    base: Annotated[str, Option("what a new project stands on; else the repository's base")] = "",
    host: Annotated[
        str, Option("login node that gets ~/.edf/NAME.toml; else none is written", host=True, ask=True)
    ] = "",
    workdir: Annotated[str, Option("where commands of that environment start")] = "",
) -> str:
    """Begin a change of a cluster image: a branch PROJECT_USER_TIME, and a template where it is new.

    With `--host`, which has the repository at the same path, the user's environment there stands on the
    project's env.toml. Nothing is pushed.
    """
    import getpass

    from backend.outputs import sqsh, toml
    from backend.recipes import new, show
    from backend.recipes.discover import load
    from backend.repository.git import Repository, branch_name

    top = show.roots(ctx.config, root)
    repository = await Repository.at(top)
    await _distance(ctx, repository)
    graph = await load(ctx.config, roots=(top,))
    recipe = graph.recipes.get(name)
    branch = branch_name(name, getpass.getuser())
    if recipe is None:
        new.check(name, "cluster")
        await _agreed(ctx, name, list(graph.recipes), top)
    await repository.ask("switch", "--create", branch)
    ctx.report(f"branch {branch}")
    if recipe is None:
        folder, notes = new.create("cluster", name, top, graph, base=base)
        for note in notes:
            ctx.report(note)
        ctx.report(f"made {folder}")
    else:
        folder = recipe.folder
    if host:
        path = f"~/.edf/{name}.toml"
        written = await sqsh.change(
            await ctx.link(host),
            path,
            lambda was: toml.based_on(path, was, str(folder / "env.toml"), workdir=workdir),
        )
        ctx.report(f"wrote {written} on {host}")
    return f"edit {folder}, then: berth images build {name}"


async def _agreed(ctx: ActionContext, name: str, known: list[str], top: Path) -> None:
    """A project that is not there is made only after a yes: its name may be a slip. Raises `Refused`."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1)
    meant = f" Did you mean {printable(close[0], 100)!r}?" if close else ""
    await ctx.agree(
        f"There is no project {name} in {top}.{meant} Make it?",
        f"there is no project {name}: nothing was made.",
        hint=meant.strip(),
    )


async def _distance(ctx: ActionContext, repository: Repository) -> None:
    """Say how far the copy is from its remote, where that is known."""
    from backend.errors import UsageError

    try:
        remote, _ = await repository.remote()
    except UsageError as error:
        ctx.report(f"! {error.message}")
        return
    branch = await repository.default_branch(remote)
    found = await repository.distance(remote, branch)
    if found is not None and any(found):
        ctx.report(printable(f"{found[0]} commits ahead of {remote}/{branch}, {found[1]} behind"))
