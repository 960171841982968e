"""How images are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.recipes import naming
from tests.backend.recipes.conftest import CUDA, Repo

CHAIN = {
    "ssh": "xvdp/cuda1180-ubuntu2204_ssh",
    "mamba": "xvdp/cuda1180-ubuntu2204_ssh_mamba",
    "torch": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch",
    "diffuse": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch_diffuse",
    "diffrast_example": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch_diffrast_example",
    "face": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch_face",
}
"""Each layer of dok's page, and the image that it creates."""
BASES = {
    "ssh": CUDA,
    "mamba": "xvdp/cuda1180-ubuntu2204_ssh",
    "torch": "xvdp/cuda1180-ubuntu2204_ssh_mamba",
    "diffuse": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch",
    "diffrast_example": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch",
    "face": "xvdp/cuda1180-ubuntu2204_ssh_mamba_torch",
}
"""What the page names as the base of each."""


@pytest.mark.parametrize("written", ["images", "recipes"])
def test_every_example_of_the_page(repo: Repo, written: str) -> None:
    """Bases may be written as the images they are, or as the recipes that yield them."""
    by_image = {image: name for name, image in CHAIN.items()}
    for name, base in BASES.items():
        repo.layer(name, base if written == "images" else by_image.get(base, base))
    graph = repo.graph()
    assert graph.problems == ()
    assert {name: recipe.images for name, recipe in graph.recipes.items()} == {
        name: (f"{image}:latest",) for name, image in CHAIN.items()
    }
    assert [each.name for each in graph.chain(graph.recipes["face"])] == ["ssh", "mamba", "torch", "face"]
    base = graph.base_of(graph.recipes["ssh"])
    assert base is not None
    assert (base.image, base.recipe) == (CUDA, "")


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (CUDA, "cuda1180-ubuntu2204"),
        ("docker.io/nvidia/cuda:11.8.0-devel-ubuntu22.04", "cuda1180-ubuntu2204"),
        ("ubuntu", "ubuntu"),
        ("ubuntu:latest", "ubuntu"),
        ("ubuntu:22.04", "ubuntu2204"),
        ("debian:bookworm-slim", "debian-bookworm-slim"),
        ("host:5000/a/b:1.2", "b12"),
        ("nvidia/cuda:12.1.0-runtime-ubuntu22.04", "cuda1210-runtime-ubuntu2204"),
        ("rocm/pytorch:rocm6.0_ubuntu22.04_py3.10", "pytorch-rocm60_ubuntu2204_py310"),
        ("ubuntu@sha256:" + "a" * 64, "ubuntu"),
        ("xvdp/cuda1180-ubuntu2204_ssh", "cuda1180-ubuntu2204_ssh"),
        ("busybox:Special_Tag", "busybox-special_tag"),
    ],
)
def test_what_a_base_gives_to_the_name(base: str, name: str) -> None:
    assert naming.of_base(base) == name
    assert naming.problem(naming.of_base(base)) == ""


def test_the_options_of_the_page_change_the_name(repo: Repo) -> None:
    repo.layer("ssh", CUDA)
    repo.layer("mamba", "ssh")
    found = repo.graph(maintainer="me", name="mine", tag="dev", targets=("mamba",))
    assert found.recipes["ssh"].images == ("me/cuda1180-ubuntu2204_ssh:latest",)
    assert found.recipes["mamba"].images == ("me/mine_mamba:dev",)
    found = repo.graph(base="ubuntu:24.04")
    assert found.recipes["mamba"].images == ("xvdp/ubuntu2404_ssh_mamba:latest",)
    repo.write("images/mamba/berth.yaml", "base: ssh\nname: registry.example.org/team/mamba\ntags: [a, b]\n")
    mamba = repo.graph().recipes["mamba"]
    assert mamba.images == ("registry.example.org/team/mamba:a", "registry.example.org/team/mamba:b")


def test_another_base_keeps_what_stands_on_an_image_of_the_stack(repo: Repo) -> None:
    for name, base in BASES.items():
        repo.layer(name, base)
    found = repo.graph(base="debian:12")
    assert found.recipes["face"].images == ("xvdp/debian12_ssh_mamba_torch_face:latest",)
    assert [each.name for each in found.chain(found.recipes["face"])] == ["ssh", "mamba", "torch", "face"]


@pytest.mark.parametrize(
    ("reference", "proposal"),
    [("My Image", "my-image"), ("a//b", "a/b"), ("-x-", "x"), ("Über:Tag!", "ber:tag-"), ("__", "image")],
)
def test_what_no_engine_takes_is_refused_with_a_proposal(reference: str, proposal: str) -> None:
    assert naming.problem(reference)
    assert naming.proposed(reference) == proposal


@given(st.text(max_size=80))
def test_a_proposal_can_be_taken(text: str) -> None:
    assert naming.problem(naming.proposed(text)) == ""


def test_a_folder_that_is_no_name_is_a_problem_with_a_proposal(repo: Repo) -> None:
    repo.write("My Tool/Dockerfile", "FROM debian:12\n")
    (problem,) = repo.problems()
    assert problem.startswith("My Tool/Dockerfile: its image would be called 'My Tool:latest'")
    assert "`name: my-tool`" in problem
    repo.write("My Tool/berth.yaml", "name: my-tool\n")
    assert repo.graph().recipes["My Tool"].images == ("my-tool:latest",)
