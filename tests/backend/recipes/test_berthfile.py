"""berth.yaml: every key, and what is said of a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import ConfigError
from backend.recipes import berthfile
from backend.recipes.model import Output, Secret, Service, Staged, User

EVERYTHING = """\
base: nvidia/cuda:11.8.0-devel-ubuntu22.04
args: {python: 3.11, EMPTY: ''}
staged:
  - ../weights/a.bin
  - {file: /data/set, to: data/set}
  - project: ../nvdiffrast
  - {git: NVlabs/nvdiffrast, ref: v0.3, to: src/nv}
  - git: git@example.org:team/tool.git
  - git: ../local.git
allow_keys: tests/*.pem
users:
  ann: 1000
  bob: {uid: 1001, gid: 100, groups: ["docker:999", video], sudo: true, shell: /bin/zsh}
authorized_keys: keys
ports: [32778, 53/udp, 80/tcp]
maintainer: xvdp
name: team/tool
tags: [latest, v1]
target: final
platform: linux/arm64/v8
no_cache: the project changes without its version
secrets:
  token: {file: ~/token}
  hub: {env: HUB_TOKEN}
services:
  board: {command: [tensorboard, --port, "{port}"], port: 6006, user: root, path: /x}
cluster:
  mounts: [/capstor, /users]
  workdir: /workspace
  annotations: {com.hooks.aws_ofi_nccl.enabled: "true"}
  env: {A: "1"}
"""


def read(tmp_path: Path, text: str) -> berthfile.RecipeConfig:
    file = tmp_path / "it" / "berth.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return berthfile.read(file)


def error(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/it/", "")


def test_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    found = read(tmp_path, EVERYTHING)
    assert found.base == "nvidia/cuda:11.8.0-devel-ubuntu22.04"
    assert found.args == {"python": "3.11", "EMPTY": ""}
    assert found.staged == (
        Staged(kind="file", source=f"{tmp_path}/weights/a.bin", target="a.bin"),
        Staged(kind="file", source="/data/set", target="data/set"),
        Staged(kind="project", source=f"{tmp_path}/nvdiffrast", target="nvdiffrast"),
        Staged(kind="git", source="https://github.com/NVlabs/nvdiffrast", target="src/nv", ref="v0.3"),
        Staged(kind="git", source="git@example.org:team/tool.git", target="tool"),
        Staged(kind="git", source=f"{tmp_path}/local.git", target="local"),
    )
    assert found.allow_keys == ("tests/*.pem",)
    assert found.users == (
        User(name="ann", uid=1000),
        User(name="bob", uid=1001, gid=100, groups=("docker:999", "video"), sudo=True, shell="/bin/zsh"),
    )
    assert found.authorized_keys == tmp_path / "it/keys"
    assert found.ports == ("32778", "53/udp", "80")
    assert (found.maintainer, found.name, found.tags) == ("xvdp", "team/tool", ("latest", "v1"))
    assert (found.target, found.platform) == ("final", "linux/arm64/v8")
    assert found.no_cache == "the project changes without its version"
    assert found.secrets == {"token": Secret(file=Path("/home/ann/token")), "hub": Secret(env="HUB_TOKEN")}
    assert found.services == {
        "board": Service(command=("tensorboard", "--port", "{port}"), port=6006, user="root", path="/x")
    }
    assert found.cluster == Output(
        mounts=("/capstor", "/users"),
        workdir="/workspace",
        annotations={"com.hooks.aws_ofi_nccl.enabled": "true"},
        env={"A": "1"},
    )
    assert found.lines["ports"] == 15
    assert set(found.lines) == set(berthfile._RECIPE)  # nothing was forgotten above


def test_a_file_that_is_missing_or_empty_says_nothing(tmp_path: Path) -> None:
    assert berthfile.read(tmp_path / "berth.yaml") == berthfile.RecipeConfig()
    assert read(tmp_path, "# nothing\n") == berthfile.RecipeConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bass: x", "berth.yaml:1: bass: unknown key. Did you mean 'base'?"),
        ("\nbase: a b", "berth.yaml:2: base: 'a b' holds spaces"),
        ("base: '-x'", "berth.yaml:1: base: '-x' must not start with `-`."),
        ("base: a:b:c", "berth.yaml:1: base: 'a:b:c' has a tag that no engine takes"),
        ("args: [a]", "berth.yaml:1: args: expected `key: value` lines, found a list."),
        ("staged:\n - {file: a, git: b}", "berth.yaml:2: staged.1: has to name one of"),
        ("staged:\n - {file: a, ref: b}", "berth.yaml:2: staged.1: `ref` is only for `git`."),
        ("staged:\n - {file: a, to: ../b}", "berth.yaml:2: staged.1.to: '../b' has to be a path inside"),
        ("staged:\n - {file: a, to: /b}", "berth.yaml:2: staged.1.to: '/b' has to be a path inside"),
        ("staged:\n - {file: /}", "berth.yaml:2: staged.1: '' has to be a path inside the build context"),
        ("users: {ann: -1}", "berth.yaml:1: users.ann: '-1' is no id. Ids are 0-"),
        ("users: {ann: 0}", "berth.yaml:1: users.ann: root is in every image already."),
        ("users: {Ann: 5}", "berth.yaml:1: users.Ann: 'Ann' cannot be a name of a user"),
        ("users: {'a;rm': 5}", "berth.yaml:1: users.a;rm: 'a;rm' cannot be a name"),
        ("users: {ann: {sudo: true}}", "berth.yaml:1: users.ann: `uid` is missing. Write `uid: 1000`."),
        ("users: {ann: 5, bob: 5}", "berth.yaml:1: users.bob: has the uid of ann, 5."),
        ("users: {ann: {uid: 5, groups: 'x:y'}}", "berth.yaml:1: users.ann.groups: 'y' is no id."),
        ("users: {ann: {uid: 5, shell: 'sh -c'}}", "berth.yaml:1: users.ann.shell: 'sh -c' holds spaces"),
        ("ports: [0]", "berth.yaml:1: ports.1: '0' is not a port."),
        ("ports: [80/x]", "berth.yaml:1: ports.1: 'x' is no protocol."),
        ("maintainer: A B", "berth.yaml:1: maintainer: 'A B' holds spaces"),
        ("name: Tool", "berth.yaml:1: name: 'Tool' is no name of an image"),
        ("name: tool:1", "berth.yaml:1: name: 'tool:1' holds a tag. Write it below `tags`."),
        ("tags: [a/b]", "berth.yaml:1: tags.1: 'a/b' is no tag. Possible is: a-b"),
        ("platform: arm", "berth.yaml:1: platform: 'arm' is no platform. Write it like linux/amd64."),
        ("no_cache: true", "berth.yaml:1: no_cache: has to say why."),
        ("secrets: {a: {file: x, env: Y}}", "berth.yaml:1: secrets.a: has to name one of `file` and `env`."),
        ("services: {a: {port: 1}}", "berth.yaml:1: services.a: `command` is missing."),
        ("cluster: {mount: [a]}", "berth.yaml:1: cluster.mount: unknown key. Did you mean 'mounts'?"),
        ("a: b: c", "berth.yaml:1: not valid YAML"),
    ],
)
def test_mistakes_name_file_line_and_key(tmp_path: Path, text: str, says: str) -> None:
    assert error(tmp_path, text).startswith(says)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(sorted(berthfile._RECIPE)),
        st.recursive(
            st.text(max_size=8) | st.integers() | st.none() | st.booleans(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_anything_is_read_or_refused_with_its_place(tmp_path: Path, values: dict[str, object]) -> None:
    import yaml

    try:
        read(tmp_path, yaml.safe_dump(values))
    except ConfigError as refused:
        assert re.match(rf"{re.escape(str(tmp_path))}/it/berth\.yaml(:\d+)?: ", refused.message)


def test_the_page_lists_the_keys_there_are_and_its_example_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/images.md").read_text()
    part = page.partition("## berth.yaml")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
    assert listed == list(berthfile._RECIPE)
    (example,) = re.findall(r"```yaml\n(.*?)```", part, re.DOTALL)
    assert read(tmp_path, example).users
