"""Environment files: merged as clusters merge them, changed without losing what people wrote."""

from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BerthError, ConfigError, NoSuchTarget
from backend.outputs import edf, toml
from backend.recipes.model import Output

FILES = {
    "base": 'image = "a:1"\nworkdir = "/w"\nmounts = ["/cap"]\n[env]\nA = "1"\nB = "1"\n'
    '[annotations.com.hooks.cxi]\nenabled = "true"\nmode = "x"\n',
    "more": 'mounts = ["/scratch:/s"]\n[env]\nB = "2"\n',
    "mine": 'base_environment = ["base", "more"]\nimage = "/imgs/b.sqsh"\nwritable = true\n'
    '[annotations]\ncom.hooks.cxi.enabled = "false"\n',
}


def reader(files: dict[str, str]):
    async def read(name: str, folder: str) -> dict:
        return {"path": f"/e/{name}.toml", "text": files.get(name)}

    return read


async def test_later_files_overwrite_values_and_append_to_lists():
    found = await edf.load("mine", reader(FILES))
    assert found.files == ("/e/base.toml", "/e/more.toml", "/e/mine.toml")
    assert found.problems == ()
    where = {(each.key, each.value): (each.file[3:-5], each.overwrites[3:-5]) for each in found.values}
    assert where == {
        ("image", "/imgs/b.sqsh"): ("mine", "base"),
        ("workdir", "/w"): ("base", ""),
        ("mounts", "/cap"): ("base", ""),
        ("mounts", "/scratch:/s"): ("more", ""),
        ("env.A", "1"): ("base", ""),
        ("env.B", "2"): ("more", "base"),
        ("annotations.com.hooks.cxi.enabled", "false"): ("mine", "base"),
        ("annotations.com.hooks.cxi.mode", "x"): ("base", ""),
        ("writable", True): ("mine", ""),
    }


async def test_the_successor_takes_no_image_files_and_mounts_with_targets():
    found = await edf.load("mine", reader(FILES), form="sarus")
    assert [each.split(": ", 1)[1][:24] for each in found.problems] == [
        "an image file (/imgs/b.s",
        "the mount /cap needs its",
    ]
    made = tomllib.loads(edf.as_toml(found, "sarus"))
    assert made["mounts"] == ["/cap:/cap", "/scratch:/s"] and "image" not in made
    assert (await edf.load("base", reader(FILES), form="sarus")).plain()["image"] == "a:1"


async def test_one_file_says_the_same_as_the_chain():
    whole = await edf.load("mine", reader(FILES))
    again = await edf.load("one", reader({"one": edf.as_toml(whole, "cscs")}))
    assert again.plain() == whole.plain()


async def test_cycles_depth_and_missing_bases_name_the_way():
    with pytest.raises(ConfigError, match=r"/e/a.toml -> /e/b.toml -> /e/a.toml"):
        await edf.load("a", reader({"a": 'base_environment = "b"', "b": 'base_environment = "a"'}))
    deep = {f"n{number}": f'base_environment = "n{number + 1}"' for number in range(20)}
    with pytest.raises(ConfigError, match="more than 10"):
        await edf.load("n0", reader(deep))
    with pytest.raises(NoSuchTarget, match=r"gone \(asked for by /e/a.toml\)"):
        await edf.load("a", reader({"a": 'base_environment = "gone"'}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image = 3", "image is a text"),
        ("mounts = [1]", "list of texts"),
        ('env = "A=1"', "env is a table"),
        ("writable = 1", "true or false"),
        ('base_environment = [1, "a"]', "base_environment"),
        ("image = [", "/e/x.toml"),
    ],
)
async def test_what_is_wrong_is_said_with_the_file(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        await edf.load("x", reader({"x": text}))
    assert "/e/x.toml" in caught.value.message


@given(st.text(max_size=200))
async def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(BerthError):
        found = await edf.load("x", reader({"x": text}))
        assert found.files == ("/e/x.toml",)


MINE = '# of ours\nimage = "/old"   # here\n\n[annotations]\ncom.hooks.cxi.enabled = "no"  # why\n'


def test_an_env_toml_keeps_what_people_wrote():
    output = Output(mounts=("/cap",), workdir="/w", annotations={"com.hooks.cxi.enabled": "true"})
    text = toml.env_toml("env.toml", MINE, "/new.sqsh", output)
    assert "# of ours" in text and "# here" in text and "# why" in text
    assert tomllib.loads(text) == {
        "image": "/new.sqsh",
        "mounts": ["/cap"],
        "workdir": "/w",
        "annotations": {"com": {"hooks": {"cxi": {"enabled": "true"}}}},
    }
    assert toml.env_toml("env.toml", text, "/new.sqsh", output) == text
    with pytest.raises(ConfigError, match=r"env.toml.*line 1"):
        toml.env_toml("env.toml", "image = [", "/new.sqsh", output)


@pytest.mark.parametrize("was", [None, "", MINE, 'base_environment = "other" # u\n[env]\nA="1"\n'])
def test_an_environment_on_a_base_keeps_the_rest(was):
    text = toml.based_on("x", was, "/imgs/env.toml", workdir="/w")
    found, before = tomllib.loads(text), tomllib.loads(was or "")
    assert found == {**before, "base_environment": "/imgs/env.toml", "workdir": "/w"}
    assert all(line.partition("#")[2] in text for line in (was or "").splitlines() if "#" in line)


ODD = st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    ODD, st.lists(ODD, max_size=5), st.dictionaries(st.text("ab.c", min_size=1, max_size=4), ODD, max_size=3)
)
def test_any_value_comes_out_as_it_went_in(workdir, mounts, env):
    text = toml.env_toml("x", None, "/i", Output(workdir=workdir, mounts=tuple(mounts), env=env))
    found = tomllib.loads(text)
    assert (found.get("workdir", ""), found.get("mounts", []), found.get("env", {})) == (workdir, mounts, env)
