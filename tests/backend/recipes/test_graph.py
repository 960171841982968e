"""Recipes found below roots, and how they stand on each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import ConfigError, NoSuchTarget, UsageError
from backend.recipes.discover import read
from backend.recipes.model import Kind
from tests.backend.recipes.conftest import CUDA, Repo


def cluster(repo: Repo) -> None:
    """A repository of images for a cluster."""
    repo.write("imgs/reasoning_base/Dockerfile", "FROM nvcr.io/nvidia/pytorch:24.10-py3\n")
    repo.write("imgs/projects/reasoning:2025.1/Dockerfile", "FROM reasoning_base\nCOPY entrypoint.sh /\n")
    repo.write("imgs/projects/reasoning:2025.1/entrypoint.sh", '#!/bin/sh\nexec "$@"\n')
    (repo.path / "imgs/projects/reasoning:latest").symlink_to("reasoning:2025.1")
    repo.write(
        "imgs/projects/evals/Dockerfile", "FROM reasoning:latest AS Code\nFROM code\nCOPY --from=CODE /a /b\n"
    )


def test_the_five_kinds_are_found(repo: Repo) -> None:
    cluster(repo)
    repo.layer("ssh", CUDA)
    repo.write("tool/Containerfile", "FROM scratch\n")
    repo.write("flow/Dockerfile", "FROM ubuntu\n")
    repo.write("flow/run-data/src/cookietts/container/packages.txt", "git\n")
    (repo.path / "flow/run-data/src/empty/container").mkdir(parents=True)
    repo.write("flow/run-data/src/synthflow/template/container/pre-run", "")
    repo.write("demo/docker/Dockerfile", "FROM ubuntu:22.04\n")
    repo.write("demo/.rp/info.json", '{"name": "demo", "tag": "me/rp_demo"}')
    for skipped in (".git/x", "node_modules/y", "tool/vendored", "env/z"):
        repo.write(f"{skipped}/Dockerfile", "FROM broken broken\n")
    repo.write("env/pyvenv.cfg")
    graph = repo.graph()
    assert graph.problems == ()
    assert {name: recipe.kind for name, recipe in graph.recipes.items()} == {
        "demo": Kind.RP,
        "flow": Kind.DOCKERFILE,
        "cookietts": Kind.WORKSPACE,
        "empty": Kind.WORKSPACE,
        "ssh": Kind.STACK,
        "reasoning_base": Kind.CLUSTER,
        "evals": Kind.CLUSTER,
        "reasoning:2025.1": Kind.CLUSTER,
        "tool": Kind.DOCKERFILE,
    }
    assert graph.recipes["demo"].images == ("me/rp_demo",)
    assert graph.recipes["cookietts"].images == ("workspace/cookietts:latest",)
    assert graph.recipes["tool"].file == repo.path / "tool/Containerfile"
    assert graph.base_of(graph.recipes["tool"]) is None


def test_a_cluster_builds_its_base_first_and_follows_latest(repo: Repo) -> None:
    cluster(repo)
    graph = repo.graph("imgs")
    levels = graph.order(["evals"])
    assert [[each.name for each in level] for level in levels] == [
        ["reasoning_base"],
        ["reasoning:2025.1"],
        ["evals"],
    ]
    assert graph.find("reasoning:latest").name == "reasoning:2025.1"
    assert graph.recipes["reasoning:2025.1"].images == ("reasoning:2025.1", "reasoning:latest")
    evals = graph.recipes["evals"]
    assert [stage.name for stage in evals.stages] == ["code", ""]
    base = graph.base_of(evals)  # through the stage that it begins with
    assert base is not None
    assert (base.recipe, base.image, base.written) == (
        "reasoning:2025.1",
        "reasoning:2025.1",
        "reasoning:latest",
    )
    assert [each.name for each in graph.chain(evals)] == ["reasoning_base", "reasoning:2025.1", "evals"]
    assert [each.name for each in graph.children(graph.recipes["reasoning_base"])] == ["reasoning:2025.1"]
    assert graph.find(str(repo.path / "imgs/projects/evals")).name == "evals"


def test_siblings_come_together(repo: Repo) -> None:
    repo.layer("base", "debian:12")
    for name in "abc":
        repo.layer(name, "base")
    repo.layer(
        "top", "a", "COPY --from=xvdp/debian12_base_b /x /x\nRUN --mount=type=bind,from=c,target=/c ls\n"
    )
    graph = repo.graph()
    assert [[each.name for each in level] for level in graph.order(["top", "b"])] == [
        ["base"],
        ["a", "b", "c"],
        ["top"],
    ]
    top = graph.recipes["top"]
    assert [(each.recipe, each.how) for each in top.dependencies] == [
        ("a", "from"),
        ("b", "copy"),
        ("c", "mount"),
    ]
    assert [each.name for each in graph.parents(top)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("dockerfile", "image"),
    [
        ("FROM ubuntu:22.04\n", "ubuntu:22.04"),
        ("ARG v=22.04\nFROM ubuntu:${v}\n", "ubuntu:22.04"),
        ("ARG v\nFROM ubuntu:${v:-24.04}\n", "ubuntu:24.04"),
        ('ARG a=ubuntu\nARG b=$a:1\nFROM "${b}"\n', "ubuntu:1"),
        ("FROM --platform=$BUILDPLATFORM golang AS Build\nFROM BUILD as two\nFROM two\n", "golang"),
        ("FROM a AS one\nFROM scratch\nCOPY --from=one / /\nFROM one\n", "a"),
        ("FROM ubuntu@sha256:" + "0" * 64 + "\n", "ubuntu@sha256:" + "0" * 64),
        ("FROM alpine AS arch-amd64\nFROM busybox AS arch-arm64\nFROM arch-${TARGETARCH}\n", "alpine"),
    ],
)
def test_the_base_of_a_file(repo: Repo, dockerfile: str, image: str) -> None:
    repo.write("it/Dockerfile", dockerfile)
    graph = repo.graph()
    assert graph.problems == ()
    base = graph.base_of(graph.recipes["it"])
    assert base is not None
    assert base.image == image


def test_a_target_stage_decides_what_is_needed(repo: Repo) -> None:
    repo.write("it/Dockerfile", "FROM a AS one\nFROM b AS two\nCOPY --from=one / /\nFROM localhost/missing\n")
    repo.write("it/berth.yaml", "target: two\n")
    graph = repo.graph()
    assert graph.problems == ()
    assert [each.image for each in graph.recipes["it"].dependencies] == ["a", "b"]
    repo.write("it/berth.yaml", "target: three\n")
    (problem,) = repo.problems()
    assert problem == "it/Dockerfile:1: there is no stage 'three'. Stages: one, two."


def test_a_local_base_that_is_missing_names_the_chain(repo: Repo) -> None:
    repo.write("imgs/reasoning_base/notes.txt")
    repo.write("imgs/projects/a/Dockerfile", "\n  FROM \\\n  reasoning_base\n")
    repo.write("imgs/projects/b/Dockerfile", "FROM a\n")
    repo.write("imgs/projects/c/Dockerfile", "FROM b\n")
    graph = repo.graph()
    with pytest.raises(ConfigError) as caught:
        graph.order(["c"])
    said = str(caught.value).replace(f"{repo.path}/", "")
    assert said == (
        "imgs/projects/a/Dockerfile:3:3: reasoning_base is a folder beside it without a Dockerfile. "
        "a is needed by b, c. Write imgs/reasoning_base/Dockerfile."
    )
    repo.write("imgs/projects/d/Dockerfile", "FROM localhost/nowhere\n")
    assert repo.problems()[-1].startswith(
        "imgs/projects/d/Dockerfile:1:6: localhost/nowhere is local, and no recipe"
    )
    repo.write("imgs/projects/e:1/Dockerfile", "FROM ubuntu\n")
    repo.write("imgs/projects/f/Dockerfile", "FROM e:2\n")
    assert "no project is called e:2. There are: e:1." in repo.problems()[-1]


def test_cycles_are_named_once_at_each_recipe(repo: Repo) -> None:
    for name, base in (("a", "c"), ("b", "a"), ("c", "b"), ("d", "a")):
        repo.write(f"{name}/Dockerfile", f"FROM {base}\n")
    graph = repo.graph()
    assert [problem.recipe for problem in graph.problems] == ["a", "b", "c"]
    with pytest.raises(
        ConfigError, match=r"a cycle: a stands on c, c stands on b, b stands on a\. a is needed by d"
    ):
        graph.order(["d"])
    for name in "abcd":
        (repo.path / name / "Dockerfile").unlink()
    for name, base in (("x", "y"), ("y", "x")):
        repo.layer(name, base)
    assert len(repo.graph().problems) == 2


def test_a_recipe_called_like_an_image_says_how_to_mean_the_image(repo: Repo) -> None:
    repo.write("ubuntu/Dockerfile", "FROM ubuntu\n")
    (problem,) = repo.problems()
    assert problem.startswith("ubuntu/Dockerfile:1:6: a cycle: ubuntu stands on ubuntu.")
    assert "docker.io/library/ubuntu" in problem
    repo.write("ubuntu/Dockerfile", "FROM docker.io/library/ubuntu\n")
    assert repo.problems() == []
    repo.write("ubuntu/Dockerfile", "FROM ubuntu:22.04\n")  # another tag is another image
    assert repo.problems() == []


def test_workspaces_and_projects_stand_for_no_image(repo: Repo) -> None:
    repo.write("src/python/container/packages.txt", "git\n")
    repo.write("it/Dockerfile", "FROM python\n")
    (dependency,) = repo.graph().recipes["it"].dependencies
    assert dependency.recipe == ""


def test_a_base_that_nobody_named(repo: Repo) -> None:
    repo.layer("ssh")
    (problem,) = repo.problems()
    assert problem == (
        "images/ssh/Dockerfile:2:6: its base is not known: the argument baseimage has no value. "
        "Say `base:` in berth.yaml, or --base."
    )
    assert repo.graph().recipes["ssh"].images == ()
    found = repo.graph(base=CUDA)
    assert found.problems == ()
    assert found.recipes["ssh"].images == ("xvdp/cuda1180-ubuntu2204_ssh:latest",)
    repo.write("images/ssh/Dockerfile", "FROM ${base}\n")
    assert "no ARG base stands before the first FROM." in repo.problems()[0]
    repo.write("images/ssh/Dockerfile", "FROM debian:12\n")
    repo.write("images/ssh/berth.yaml", "\nbase: ubuntu\n")
    assert repo.problems()[0].startswith("images/ssh/berth.yaml:2: base: no FROM takes it.")


def test_several_roots_and_one_name_twice(repo: Repo) -> None:
    repo.write("one/base/Dockerfile", "FROM debian:12\n")
    repo.write("one/top/Dockerfile", "FROM base\n")
    repo.write("two/base/Dockerfile", "FROM debian:13\n")
    repo.write("two/other/Dockerfile", "FROM base\n")
    graph = repo.graph("one", "two")
    assert list(graph.recipes) == ["base", "top", "two/base", "other"]
    assert [each.recipe for each in graph.recipes["top"].dependencies] == ["base"]
    assert [each.recipe for each in graph.recipes["other"].dependencies] == ["two/base"]
    (problem,) = graph.problems
    assert problem.recipe == "two/base"
    assert f"its image base:latest is that of {repo.path}/one/base too" in problem.text


def test_a_root_inside_another_is_not_looked_at_twice(repo: Repo) -> None:
    repo.layer("ssh", CUDA)
    assert list(repo.graph("images", ".").recipes) == ["ssh"]


def test_what_is_wrong_with_one_recipe_leaves_the_others(repo: Repo) -> None:
    repo.write("bad/Dockerfile", "FROM debian\nRUUN x\n")
    repo.write("odd/Dockerfile", b"FROM debian\n\xff\n")
    repo.write("worse/Dockerfile", "FROM debian\n")
    repo.write("worse/berth.yaml", "ports: [99999]\n")
    (repo.path / "gone").mkdir()
    (repo.path / "gone/Dockerfile").symlink_to("nowhere")
    repo.write("good/Dockerfile", "FROM debian\n")
    assert repo.problems() == [
        "bad/Dockerfile:2:1: 'RUUN' is no instruction. Did you mean RUN?",
        "gone/Dockerfile: is not there. A recipe needs a Dockerfile.",
        "odd/Dockerfile:2: not UTF-8 text. Save it as UTF-8.",
        "worse/berth.yaml:1: ports.1: '99999' is not a port. Ports are 1-65535.",
    ]
    assert [each.name for each in repo.graph().order(["good"])[0]] == ["good"]


def test_names_that_nothing_has(repo: Repo) -> None:
    repo.layer("mamba", CUDA)
    with pytest.raises(NoSuchTarget, match=r"no recipe is called 'manba'\. Did you mean 'mamba'"):
        repo.graph().find("manba")
    with pytest.raises(UsageError, match="is no folder"):
        read(repo.config(), roots=[repo.path / "nowhere"])
    (problem,) = repo.problems("nowhere")
    assert problem.startswith("nowhere: this root of recipes is no folder.")


def test_links_to_nowhere_and_to_themselves(repo: Repo) -> None:
    cluster(repo)
    (repo.path / "imgs/projects/loop").symlink_to(".")
    (repo.path / "imgs/projects/broken").symlink_to("nothing")
    assert repo.problems() == ["imgs/projects/broken: leads to nothing: nothing. Point it to a project."]


def test_a_chain_of_a_thousand(repo: Repo) -> None:
    for number in range(300):
        base = f"n{number - 1}" if number else "debian"
        repo.write(f"n{number}/Dockerfile", f"FROM {base}\n")
    graph = repo.graph()
    assert graph.problems == ()
    assert len(graph.order(["n299"])) == 300
    assert len(graph.chain(graph.recipes["n299"])) == 300


def test_recipes_are_found_in_the_current_folder_without_roots(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.config.schema import Config

    repo.layer("ssh", CUDA)
    monkeypatch.chdir(repo.path / "images")
    assert list(read(Config(directory=Path("/nowhere"))).recipes) == ["ssh"]
