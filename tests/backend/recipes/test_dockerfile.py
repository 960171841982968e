"""Dockerfiles as text: instructions, places, what no builder would take."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.recipes import dockerfile, stages, variables
from backend.recipes.dockerfile import INSTRUCTIONS, DockerfileError, parse


def error(text: str) -> str:
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    found = caught.value
    return f"{found.line}:{found.column}: {found.text} {found.hint}".strip()


def test_lines_are_joined_and_places_stay_those_of_the_file() -> None:
    text = (
        "\ufeff# a comment\r\n\r\nARG a=1 \\\r\n  # between\r\n\r\n   b=2\r\n"
        "  FROM --platform=linux/amd64 \\\n\timage:$a \\\n  as Build\nRUN one && \\\n   two\n"
    )
    arg, start, run = parse(text).instructions
    assert [(word.text, word.line, word.column) for word in arg.words] == [("a=1", 3, 5), ("b=2", 6, 4)]
    assert (start.line, start.column) == (7, 3)
    assert [flag.text for flag in start.flags] == ["platform=linux/amd64"]
    assert [(word.text, word.line, word.column) for word in start.words] == [
        ("image:$a", 8, 2),
        ("as", 9, 3),
        ("Build", 9, 6),
    ]
    assert run.text == "one &&    two"
    for word in (*arg.words, *start.flags, *start.words):
        assert word.whole
        assert text[word.start : word.end] == word.text


def test_a_word_cut_by_a_line_end_is_known_to_be() -> None:
    (start,) = parse("FROM ubu\\\nntu:22.04\n").instructions
    assert start.words[0].text == "ubuntu:22.04"
    assert not start.words[0].whole


def test_the_escape_directive_is_followed() -> None:
    text = "# escape=`\n# syntax=docker/dockerfile:1\nFROM windows `\n  AS w\nRUN dir c:\\\nRUN two\n"
    found = parse(text)
    assert (found.escape, found.syntax) == ("`", "docker/dockerfile:1")
    assert [each.text for each in found.instructions] == ["windows   AS w", "dir c:\\", "two"]


def test_a_directive_after_a_comment_is_a_comment() -> None:
    assert parse("# hello\n# escape=`\nFROM a\n").escape == "\\"


@pytest.mark.parametrize(
    ("run", "rest"),
    [
        ("RUN <<EOF\nFROM nothing\n# no comment\nEOF", "COPY a b"),
        ("RUN cat <<-'A' > /x && cat 3<<B\n\t\tA x\n\t\tA\n\tB\nB", "COPY a b"),
        ('COPY <<"one two" /x\nFROM\none two', "COPY a b"),
        ("ONBUILD RUN <<E\nFROM x\nE", "COPY a b"),
    ],
)
def test_what_stands_in_a_here_document_is_no_instruction(run: str, rest: str) -> None:
    found = parse(f"FROM a\n{run}\n{rest}\n").instructions
    assert [each.name for each in found] == ["FROM", run.split(maxsplit=1)[0], "COPY"]
    assert found[1].heredocs == run.count("<<")


@pytest.mark.parametrize(
    "run",
    [
        'RUN ["sh", "-c", "cat <<EOF"]',
        'RUN cat <<<"text"',
        "RUN echo $((1<<2))",
        "RUN echo 1 << 2",
        "ENV a=<<EOF",
    ],
)
def test_what_only_looks_like_a_here_document_is_none(run: str) -> None:
    if run.endswith("<< 2"):  # an empty delimiter begins nothing
        assert parse(f"FROM a\n{run}\nCOPY a b\n").instructions[1].heredocs == 0
    assert [each.name for each in parse(f"FROM a\n{run}\nCOPY a b\n").instructions][2] == "COPY"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1:0: there is no FROM."),
        ("# nothing\n", "1:0: there is no FROM."),
        ("RUN a\nFROM b\n", "1:1: RUN stands before the first FROM."),
        ("ARG a\n\n  FROOM x\n", "3:3: 'FROOM' is no instruction. Did you mean FROM?"),
        ("ARG baseimage\nFROM=${baseimage}\n", "2:1: 'FROM=${baseimage}' is no instruction. Write a space"),
        ("FROM a b\n", "1:8: FROM takes one image, and a name behind AS; 'b' is neither."),
        ("FROM a AS b c\n", "1:13: FROM takes one image"),
        ("FROM a AS 1b\n", "1:11: '1b' cannot be the name of a stage."),
        ("FROM\n", "1:1: FROM has no arguments."),
        ("FROM --platform=x\n", "1:1: FROM names no image."),
        ("FROM a\nRUN \\\n\n", "2:1: RUN has no arguments."),
        ("FROM a\nRUN <<EOF\necho\n", "2:1: the here-document 'EOF' does not end. A line EOF is missing."),
        ("# escape=x\nFROM a\n", "1:10: 'x' cannot be the escape character."),
        ("# escape=\\\n# escape=`\nFROM a\n", "2:1: the directive escape stands here for the second time."),
        ("FROM a\nthis is prose\n", "2:1: 'this' is no instruction."),
        ("FROM a\n\0\n", "2:0: holds NUL characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, says: str) -> None:
    assert error(text).startswith(says)


WORDS = st.sampled_from(
    [
        *(
            "FROM",
            "from",
            "ARG",
            "RUN",
            "COPY",
            "--from=b",
            "--mount=type=bind,from=a",
            "AS",
            "b",
            "$a",
            "<<E",
        ),
        *("${a:-b}", "E", "\\", "`", "#", "# escape=`", "\n", "\r\n", "\t", '"', "'", "=", "a=1", "scratch"),
        *("\ufeff", "é", "${", "}"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=200))
@example("FROM a\\")
@example("\\\n\\\nFROM a")
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    lines = text.count("\n") + 1
    try:
        found = parse(text)
        layout = stages.layout(found, {"a": "x"})
    except DockerfileError as refused:
        assert 1 <= refused.line <= lines
        assert refused.column >= 0
        return
    assert layout.stages
    for each in found.instructions:
        assert each.name in INSTRUCTIONS
        assert 1 <= each.line <= lines
        for word in (*each.words, *each.flags):
            assert 1 <= word.line <= lines
            if word.whole:
                assert text[word.start : word.end] == word.text
    for use in layout.uses:
        if use.word.whole:
            assert text[use.word.start : use.word.end] == use.word.text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$a", "1"),
        ("${a}x", "1x"),
        ("$none", ""),
        ("${none:-x${a}y}", "x1y"),
        ("${empty:-x}", "x"),
        ("${empty-x}", ""),
        ("${a:+yes}${none:+no}", "yes"),
        ("${empty+there}", "there"),
        ("'$a'", "$a"),
        ('"$a b"', "1 b"),
        ("\\$a", "$a"),
        ("$", "$"),
        ("cost: 5$", "cost: 5$"),
        ('"a\\"b\\n"', 'a"b\\n'),
    ],
)
def test_variables_are_filled_in(text: str, value: str) -> None:
    assert variables.expand(text, {"a": "1", "empty": ""}) == value


@pytest.mark.parametrize("text", ["${", "${a", "${}", "${a:x}", "${a%b}", "${a:-${b}", "${a:-" * 30])
def test_variables_nobody_can_read_are_refused(text: str) -> None:
    with pytest.raises(variables.BadVariable):
        variables.expand(text, {"a": "1"})


def test_a_variable_may_be_needed() -> None:
    with pytest.raises(variables.Unset, match="say which"):
        variables.expand("${a:?say which}", {})


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("${}:-+?ab\"'\\ "), max_size=30))
def test_any_word_is_expanded_or_refused(text: str) -> None:
    with contextlib.suppress(variables.BadVariable, variables.Unset):
        assert isinstance(variables.expand(text, {"a": "1"}), str)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS | st.sampled_from(["\\\n", "\n RUN", "ENV a", "\nCOPY"]), max_size=30).map(" ".join))
@example("\\\n \nCOPY FROM")
@example("RU\\\nN x")
@example(" RUN a \\\n # c\n\n  b \\  \nENV x")
@example("RUN a \\\\\nENV b\\")
def test_the_quick_way_through_plain_instructions_is_the_long_one(text: str) -> None:
    text = f"FROM a\n{text}"

    def read() -> object:
        try:
            return parse(text).instructions
        except DockerfileError as refused:
            return str(refused)

    quick = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dockerfile._Parser, "plain", lambda *_: 0)
        assert read() == quick
