"""Templates: each one is found, stands where it should, and renders."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import UsageError
from backend.recipes import new
from backend.recipes.model import Kind
from backend.recipes.new import Gpus, Template
from tests.backend.recipes.conftest import KEY, PRIVATE, Repo, names


@pytest.fixture
def home(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of somebody with a key."""
    home = repo.path.parent / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text(PRIVATE)
    (home / ".ssh/id_ed25519.pub").write_text(KEY)
    monkeypatch.setenv("HOME", str(home))
    return home


def make(repo: Repo, template: Template, name: str, **options: object) -> tuple[Path, list[str]]:
    return new.create(template, name, repo.path, repo.graph(), **options)  # type: ignore[arg-type]


async def test_the_stack_of_templates_is_one(repo: Repo, into: Path, home: Path) -> None:
    for name in ("ssh", "mamba", "torch"):
        make(repo, name, name)
    graph = repo.graph()
    assert graph.problems == ()
    assert graph.recipes["torch"].images == ("xvdp/ubuntu2204_ssh_mamba_torch:latest",)
    ssh = await repo.render("ssh", into)
    assert "berth/users.sh" in names(ssh.folder)
    assert (ssh.folder / "berth/authorized_keys").read_text() == KEY
    assert (ssh.folder / "berth/bashrc").is_file()
    assert ssh.build_args == {"baseimage": "ubuntu:22.04", "port": "32778"}
    assert ssh.ports == ("32778",)
    assert [(user.name, user.uid) for user in ssh.users] == [
        ("appuser", 1000),
        ("appuser1", 1001),
        ("appuser2", 1002),
    ]
    torch = await repo.render("torch", into)
    assert "ARG cuda=cpu" in torch.dockerfile.read_text()
    assert not any("PRIVATE" in path.read_text() for path in into.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("gpus", "cuda", "base"),
    [
        (Gpus("nvidia", "550.54.15"), "12.4", "nvidia/cuda:12.4.1-devel-ubuntu22.04"),
        (Gpus("nvidia", "590.10"), "13.0", "nvidia/cuda:13.0.1-devel-ubuntu22.04"),
        (Gpus("nvidia", "535.104.05"), "12.2", "nvidia/cuda:12.2.2-devel-ubuntu22.04"),
        (Gpus("nvidia", "470.223.02"), "11.8", "nvidia/cuda:11.8.0-devel-ubuntu22.04"),
        (Gpus("nvidia", "390.157"), "cpu", "ubuntu:22.04"),
        (Gpus("nvidia", "odd"), "cpu", "ubuntu:22.04"),
        (Gpus(), "cpu", "ubuntu:22.04"),
    ],
)
def test_the_driver_decides(repo: Repo, home: Path, gpus: Gpus, cuda: str, base: str) -> None:
    make(repo, "ssh", "ssh", gpus=gpus)
    make(repo, "mamba", "mamba", gpus=gpus)
    folder, notes = make(repo, "torch", "torch", gpus=gpus)
    assert f"ARG cuda={cuda}\n" in (folder / "Dockerfile").read_text()
    assert repo.graph().recipes["ssh"].config.base == base
    assert (repo.graph().recipes["mamba"].config.base, repo.graph().recipes["torch"].config.base) == (
        "ssh",
        "mamba",
    )
    assert (cuda in notes[-1]) == (cuda != "cpu")


async def test_amd_has_pytorch_in_its_base(repo: Repo, into: Path, home: Path) -> None:
    make(repo, "torch", "torch", gpus=Gpus("amd"))
    made = await repo.render("torch", into)
    assert made.base.startswith("rocm/pytorch:rocm7.2.1_ubuntu24.04_")
    assert "torch.version.hip" in made.dockerfile.read_text()


async def test_a_workspace_goes_where_its_code_is(repo: Repo, into: Path) -> None:
    (repo.path / "run-data/src/cookietts").mkdir(parents=True)
    (repo.path / "run-data/src/cookietts/code.py").write_text("x")
    folder, _ = make(repo, "workspace", "cookietts", base="debian:12")
    assert folder == repo.path / "run-data/src/cookietts"
    assert (folder / "container/pre-run").stat().st_mode & 0o777 == 0o755
    made = await repo.render("cookietts", into)
    assert (made.kind, made.base) == (Kind.WORKSPACE, "debian:12")
    assert "code.py" not in names(made.folder)
    with pytest.raises(UsageError, match="exists already"):
        make(repo, "workspace", "cookietts")


async def test_a_project_of_a_cluster_stands_on_its_base(repo: Repo, into: Path) -> None:
    repo.write("reasoning_base/Dockerfile", "FROM debian:12\n")
    repo.write("tools/notes.txt")
    folder, _ = make(repo, "cluster", "reasoning:2025.2")
    assert folder == repo.path / "projects/reasoning:2025.2"
    assert (folder / "Dockerfile").read_text().startswith("FROM reasoning_base\n")
    assert (folder / "entrypoint.sh").stat().st_mode & 0o777 == 0o755
    made = await repo.render("reasoning:2025.2", into)
    assert (made.tags, made.parents) == (("reasoning:2025.2",), ("reasoning_base",))
    assert made.cluster.workdir == "/workspace"
    inside, _ = new.create("cluster", "evals", repo.path / "projects", repo.graph())
    assert inside == repo.path / "projects/evals"


def test_a_project_of_rp_is_that_of_init(repo: Repo) -> None:
    make(repo, "rp", "demo")
    assert repo.graph().recipes["demo"].kind is Kind.RP
    with pytest.raises(UsageError):
        make(repo, "rp", "demo")


@pytest.mark.parametrize(
    ("template", "name", "says"),
    [
        ("ssh", "My Layer", "Possible is: my-layer"),
        ("ssh", "a/b", "holds a slash"),
        ("ssh", "../up", "holds a slash"),
        ("ssh", "..", "Possible is: image"),
        ("mamba", "a:1", "holds a tag"),
        ("cluster", "a:b:c", "Possible is: a"),
        ("cluster", "", "Possible is: image"),
    ],
)
def test_names_that_would_give_no_image(repo: Repo, template: Template, name: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(repo, template, name)
    assert says in str(caught.value)
    assert list(repo.path.iterdir()) == []
