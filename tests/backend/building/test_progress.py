"""What builders print, captured from real ones, becomes steps and lines; garbage becomes neither a crash."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from backend.building.dockerlines import line_of, lines, with_labels
from backend.building.following import builder_of
from backend.building.progress import Progress, line_in

CLASSIC = r"""
{"stream":"Step 1/3 : FROM busybox"}
{"stream":"\n"}
{"stream":" ---\u003e f9ca6d9859d3\n"}
{"stream":"Step 2/3 : RUN echo hi"}
{"stream":"\n"}
{"stream":" ---\u003e Using cache\n"}
{"stream":" ---\u003e 1cf2f84b1f2a\n"}
{"stream":"Step 3/3 : RUN echo a; sleep 0.2; false"}
{"stream":"\n"}
{"stream":" ---\u003e Running in d3ea4c2847f9\n"}
{"stream":"a\n"}
{"stream":"Removing intermediate container d3ea4c2847f9\n"}
{"errorDetail":{"code":1,"message":"no"},"error":"The command '/bin/sh -c false' returned a non-zero code: 1"}
"""
PLAIN = """
#1 [internal] load build definition from Dockerfile
#1 sha256:a63f233df9bbab98b9d070286ca3f4e5cf8dca49faf919f01667bc51f7944b57
#1 transferring dockerfile: 165B done
#1 DONE 0.0s

#4 [one 1/2] FROM docker.io/library/busybox
#4 sha256:08a03f3ffe5fba421a6403c31e153425ced631d108868f30e04985f99d69326e
#4 CACHED

#5 [one 2/2] RUN echo hi; sleep 1; echo there
#5 0.158 hi
#5 1.159 there
#5 DONE 1.2s

#6 [stage-1 2/3] COPY --from=one /etc/passwd /x
#6 DONE 0.0s

#7 [stage-1 3/3] RUN false
#7 ERROR: executor failed running [/bin/sh -c false]: exit code: 1
------
 > [stage-1 3/3] RUN false:
------
executor failed running [/bin/sh -c false]: exit code: 1
"""
PODMAN = """
[1/2] STEP 1/2: FROM busybox AS one
[1/2] STEP 2/2: RUN echo hi
hi
--> 3b6e7ab2d1f
[2/2] STEP 1/2: FROM busybox
[2/2] STEP 2/2: COPY --from=one /etc/passwd /x
--> Using cache 92bd1e2f
Error: building at STEP "RUN false": while running runtime: exit status 1
"""


def fed(builder: str, text: str) -> tuple[Progress, list[str]]:
    progress = Progress(builder)
    said = []
    for number, line in enumerate(filter(None, text.split("\n"))):
        said += [each.line for each in progress.feed(1000.0 + number, line) if each.line is not None]
    return progress, said


def test_the_classic_builder():
    progress, said = fed("classic", CLASSIC)
    assert [(s.text, s.stage, s.cached) for s in progress.steps.values()] == [
        ("FROM busybox", "1/3", False),
        ("RUN echo hi", "2/3", True),
        ("RUN echo a; sleep 0.2; false", "3/3", False),
    ]
    assert progress.total == 3 and "a" in said
    assert progress.steps[1].seconds == 3.0 and progress.steps[3].seconds is None
    progress.close(1020.0, ok=False)
    assert progress.failed is not None and progress.failed.number == 3 and progress.failed.failed
    assert progress.error == "The command '/bin/sh -c false' returned a non-zero code: 1"


def test_buildkit_in_plain_text():
    progress, said = fed("buildkit", PLAIN)
    assert [(s.text, s.stage, s.cached, s.seconds) for s in progress.steps.values()][:2] == [
        ("FROM docker.io/library/busybox", "one 1/2", True, 0.0),
        ("RUN echo hi; sleep 1; echo there", "one 2/2", False, 1.2),
    ]
    assert progress.total == 5  # two of the one stage, three of the other
    assert progress.failed is not None and progress.failed.text == "RUN false"
    assert "exit code: 1" in progress.error
    assert "hi" in said and "there" in said
    assert not [line for line in said if "sha256:" in line]


def test_buildkit_in_json():
    def line(**what: object) -> str:
        return json.dumps(what)

    at = "2026-11-21T08:00:00Z"
    run = {"digest": "sha256:b", "name": "[2/3] RUN make", "started": "2026-11-21T08:00:00.123456789Z"}
    words = [
        line(vertexes=[{"digest": "sha256:i", "name": "[internal] load metadata", "started": at}]),
        line(vertexes=[{"digest": "sha256:a", "name": "[1/3] FROM busybox", "cached": True,
                        "started": at, "completed": at}]),
        line(vertexes=[run]),
        line(logs=[{"vertex": "sha256:b", "stream": 1, "data": base64.b64encode(b"one\ntwo\n").decode()}]),
        line(vertexes=[run | {"completed": "2026-11-21T08:00:02.623456789Z", "error": "exit code: 2"}]),
        "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
    ]  # fmt: skip
    progress, said = fed("buildx", "\n".join(words))
    assert [(s.text, s.cached, s.failed) for s in progress.steps.values()] == [
        ("FROM busybox", True, False),
        ("RUN make", False, True),
    ]
    assert {"one", "two"} <= set(said) and progress.total == 3
    assert "did not complete successfully" in progress.error


def test_podman():
    progress, _ = fed("podman", PODMAN)
    assert [(s.text, s.stage, s.cached) for s in progress.steps.values()] == [
        ("FROM busybox AS one", "1/2 1/2", False),
        ("RUN echo hi", "1/2 2/2", False),
        ("FROM busybox", "2/2 1/2", False),
        ("COPY --from=one /etc/passwd /x", "2/2 2/2", True),
    ]
    assert progress.total == 4 and progress.error.startswith("building at STEP")


def test_podman_behind_dockers_api():
    text = '{"stream":"STEP 1/2: FROM busybox\\n"}\n{"stream":"STEP 2/2: RUN echo hi\\n"}\n{"stream":"hi\\n"}'
    progress, said = fed("classic", text)
    assert [s.text for s in progress.steps.values()] == ["FROM busybox", "RUN echo hi"] and "hi" in said


def test_a_builder_is_known_by_its_first_line():
    assert [builder_of(text.strip().split("\n")[0]) for text in (CLASSIC, PLAIN, PODMAN)] == [
        "classic", "buildkit", "podman",
    ]  # fmt: skip


@given(st.sampled_from(["classic", "buildkit", "buildx", "podman", ""]), st.text(max_size=300))
def test_garbage_is_survived(builder, text):
    progress, said = fed(builder, text)
    progress.close(5.0, ok=False)
    assert all("\x1b" not in line and "\n" not in line for line in said)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["vertexes", "logs", "warnings", "digest", "name", "started", "error", "data", "stream"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ),
    st.floats(),
)
def test_json_garbage_is_survived(found, at):
    for builder in ("classic", "buildx"):
        progress = Progress(builder)
        list(progress.feed(at, json.dumps(found)))
        assert len(progress.steps) <= 12


def test_an_escape_of_a_host_reaches_nobody():
    _, said = fed("buildkit", "#5 [1/1] RUN x\n#5 0.1 \x1b]0;owned\x07red\x1b[31m")
    assert said[-1] == "red"


DOCKERFILE = """\
ARG base=busybox
FROM $base AS one
# a comment
RUN echo hi; \\
    echo   there
FROM busybox
COPY --from=one /etc/passwd \\
  /x
RUN true
RUN true
"""


def test_steps_are_found_in_the_dockerfile():
    instructions = lines(DOCKERFILE)
    progress, _ = fed(
        "buildkit",
        "#1 [one 2/2] RUN echo hi;     echo   there\n#2 [stage-1 2/3] COPY --from=one /etc/passwd   /x\n"
        "#3 [3/3] RUN true",
    )
    assert [line_of(step, instructions) for step in progress.steps.values()] == [
        4,
        7,
        0,
    ]  # the last means two
    assert lines("FOO\n") == []


def test_errors_that_name_their_line():
    assert line_in("dockerfile parse error line 3: unknown instruction: FOO") == 3
    assert line_in("Dockerfile parse error on line 7: x") == 7
    assert line_in("gcc: error in line 3") == 0


def test_labels_as_an_instruction():
    found = with_labels("FROM x\nRUN y", {"b": '{"a": "$c\\"}', "a": "1"})
    assert found == 'FROM x\nRUN y\nLABEL "a"="1" "b"="{\\"a\\": \\"\\$c\\\\\\"}"\n'
    assert with_labels("# escape=`\nFROM x\n", {"a": "1"}) is None
    assert with_labels("FOO\n", {"a": "1"}) is None
