""".dockerignore: the patterns of Docker's page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.recipes.ignore import Ignore, patterns


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        ("*/temp*", "somedir/temporary.txt", True),
        ("*/temp*", "somedir/sub/temp", False),
        ("*/temp*", "somedir/temp/below", True),
        ("*/*/temp*", "somedir/sub/temporary.txt", True),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("**/*.go", "a.go", True),
        ("**/*.go", "x/y/a.go", True),
        ("**", "any/thing", True),
        ("/foo/bar", "foo/bar", True),
        ("foo/bar/", "foo/bar/x", True),
        ("./foo", "foo", True),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
        ("*\n!src", "src/a/b", False),
        ("*\n!src/keep", "src/other", True),
        ("a[0-9].txt", "a5.txt", True),
        ("a[^0-9].txt", "a5.txt", False),
        ("a[^0-9].txt", "ax.txt", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("[", "[", True),
        ("# a", "a", False),
        ("  \n\n!\n.", "a", False),
        ("a.b", "axb", False),
        ("foo/**", "foo", False),
        ("foo/**", "foo/x/y", True),
        ("lib/**/x", "lib/x", True),
        ("lib/**/x", "lib/1/2/x", True),
    ],
)
def test_what_is_ignored(lines: str, path: str, ignored: bool) -> None:
    assert Ignore(patterns(lines)).ignored(path) is ignored


def test_stars_upon_stars_are_no_trap() -> None:
    many = Ignore(["**/" * 60 + "x", "*" * 40 + "y", "*a" * 40 + "b"])
    assert many.ignored("a" * 200) is False
    assert many.ignored("/".join("a" * 100)) is False
    assert many.ignored("a/b/x") is True


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab*?[]!^-\\/. "), max_size=12), st.text(st.sampled_from("ab/"), max_size=8))
def test_any_pattern_can_be_asked(pattern: str, path: str) -> None:
    assert Ignore([pattern]).ignored(path) in (True, False)
