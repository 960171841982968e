"""How people write what a job needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend.errors import UsageError
from backend.model import Job, JobRequest, JobRow, JobSpec
from backend.queues import sweeps, words
from backend.queues.jobrows import job_rows

GB = 1024**3


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("8", 8 * GB),
        ("8g", 8 * GB),
        ("8GB", 8 * GB),
        ("1.5GiB", 3 * GB // 2),
        ("512m", GB // 2),
        ("2t", 2048 * GB),
    ],
)
def test_memory_counts_in_gb_where_no_unit_is_said(text: str, count: int) -> None:
    assert words.memory(text) == count


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("30m", 1800), ("2h30m", 9000), ("1d", 86400), ("45", 2700), ("10:30", 630),
        ("2:00:00", 7200), ("1-12", 129600), ("1-12:00:30", 129630),
    ],
)  # fmt: skip
def test_times_are_read_as_people_and_slurm_write_them(text: str, seconds: float) -> None:
    assert words.span(text) == seconds


def test_gpus_are_a_number_or_uuids() -> None:
    assert words.gpus("0") == (0, ())
    assert words.gpus("4") == (4, ())
    assert words.gpus("GPU-aa11, GPU-bb22") == (2, ("GPU-aa11", "GPU-bb22"))


@pytest.mark.parametrize(
    ("text", "indices", "limit"),
    [
        ("1-4", (1, 2, 3, 4), 0), ("1-20%4", tuple(range(1, 21)), 4), ("0-9:3,12", (0, 3, 6, 9, 12), 0),
        ("7", (7,), 0), ("3,1,3", (3, 1), 0),
    ],
)  # fmt: skip
def test_arrays(text: str, indices: tuple[int, ...], limit: int) -> None:
    assert words.array(text) == (indices, limit)


def test_a_sweep_is_every_combination() -> None:
    points = sweeps.sweep(["lr=0.1,0.01", "seed=1,2,3"])
    assert [point.label for point in points] == [
        f"lr={lr},seed={seed}" for lr in ("0.1", "0.01") for seed in (1, 2, 3)
    ]
    assert points[0].fill(["train.sh", "--lr={lr}", "{seed}", "{other}"]) == (
        "train.sh",
        "--lr=0.1",
        "1",
        "{other}",
    )
    assert sweeps.sweep(["a=1 b=2"])[0].values == (("a", "1"), ("b", "2"))


def test_what_looks_like_a_place_for_a_value_and_is_none() -> None:
    (point, _) = sweeps.sweep(["lr=0.1,0.2"])
    told = ["${lr}", "{{lr}}", "{{print}}", "awk '{print $1}'", '{"a": 1}', "{lr}{lr}"]
    assert point.fill(told) == ("${lr}", "{lr}", "{print}", "awk '{print $1}'", '{"a": 1}', "0.10.1")
    sweeps.check([point], told)
    with pytest.raises(UsageError, match=r"\{y\} in '--seed=\{y\}' gets no value: there is lr"):
        sweeps.check([point], ["train.sh", "--seed={y}"])


def test_variables_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.delenv("TOKNE", raising=False)
    assert words.pairs(["A=1=2", "my.opt-x=", "TOKEN"]) == {"A": "1=2", "my.opt-x": "", "TOKEN": "secret"}
    for said, why in (
        ("1A=x", "no name of a variable"),
        ("a b=x", "no name of a variable"),
        ("=x", "no name of a variable"),
        ("", "no name of a variable"),
        ("TOKNE", "not set here"),
        ("A=\0", "NUL"),
        ("BERTH_ARRAY_INDEX=3", "set by the queue itself"),
        ("NVIDIA_VISIBLE_DEVICES=all", "set by the queue itself"),
    ):
        with pytest.raises(UsageError, match=why):
            words.pairs([said])


def test_after_names_jobs_and_how_they_have_to_end() -> None:
    assert words.after(["12", "any:13,afterok:14"]) == (("12", "ok"), ("13", "any"), ("14", "ok"))


def test_mounts() -> None:
    assert words.mount("/data") == ("/data", "/data", False)
    assert words.mount("/data:/in:ro") == ("/data", "/in", True)
    assert words.mount("/data/:/in/") == ("/data/", "/in", False)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (words.memory, "much"), (words.memory, "-1"), (words.memory, "0"), (words.memory, "٨"),
        (words.span, "soon"), (words.span, "0"), (words.span, "-5m"), (words.span, "99999d"),
        (words.gpus, "all of them"), (words.gpus, "GPU-a1,GPU-a1"), (words.gpus, ""),
        (words.array, "4-1"), (words.array, "a-b"), (words.array, "1-3%0"), (words.array, "1-999999"),
        (words.array, "0-9:0"), (words.array, ""),
        (words.mount, "data:/in"), (words.mount, "/a:/b:/c"), (words.mount, "/a:b"), (words.mount, ""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error_with_a_way_out(read: object, text: str) -> None:
    with pytest.raises(UsageError) as error:
        read(text)  # type: ignore[operator]
    assert (
        error.value.hint
        or "has more than" in error.value.message
        or "named twice" in error.value.message
        or "at once" in error.value.message
    )


@pytest.mark.parametrize(
    "said",
    [
        ["lr"],
        ["lr="],
        ["1x=2"],
        ["a=1", "a=2"],
        ["BERTH_JOB_ID=1,2"],
        ["a=" + ",".join("1" * 200)] * 1 + ["b=" + ",".join("1" * 200)],
    ],
)
def test_sweeps_that_are_none(said: list[str]) -> None:
    with pytest.raises(UsageError):
        sweeps.sweep(said)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (words.memory, words.span, words.gpus, words.array, words.mount):
        try:
            found = read(text)
        except UsageError as error:
            assert error.message and error.message.isprintable()
        else:
            assert found is not None


def test_what_a_job_asks_for_is_written_as_it_is_read() -> None:
    row = JobRow(
        host="h", engine="docker", id="7", name="x", owner="ann", state="queued", gpus=2, cpus=3,
        memory=1536 * 1024**2, time_limit=93_784.0, after=("5", "any:6"), priority=-3, retries=1,
    )  # fmt: skip
    now = words.current(row)
    assert (now["mem"], now["time"], now["gpus"], now["after"]) == ("1536m", "1d2h3m4s", "2", "5,any:6")
    assert (words.memory(now["mem"]), words.span(now["time"])) == (row.memory, row.time_limit)
    assert words.changes(now, row) == {}
    asked = {**now, "mem": "0", "time": "0", "gpus": "3", "name": "y", "after": "", "cpus": None}
    assert words.changes(asked, row) == {
        "name": "y", "gpus": 3, "gpu_ids": (), "memory": 0, "time_limit": None, "after": []
    }  # fmt: skip
    assert words.changes({"after": "0"}, row) == {"after": []}  # a form gives no empty words
    changed = words.changes({"after": "5,6,any:7_2"}, row)
    assert changed == {"after": [[5, "ok"], [6, "ok"], ["7_2", "any"]]}
    assert words.changed(changed) == ["after 5, 6, any:7_2"]


def test_a_dependency_that_only_slurm_knows_stays_where_the_form_gives_it_back() -> None:
    row = JobRow(
        host="h", engine="slurm", id="7", name="x", owner="ann", state="queued", after=("afternotok:5", "6")
    )
    assert words.changes({**words.current(row), "priority": 3}, row) == {"priority": 3}
    with pytest.raises(UsageError, match="afternotok"):
        words.changes({"after": "afternotok:5,6,7"}, row)


@given(st.integers(1, 2**20), st.integers(1, 366 * 86400))
def test_any_size_and_any_time_are_written_as_they_are_read(megabytes: int, seconds: int) -> None:
    row = JobRow(host="h", engine="docker", id="7", name="x", owner="ann", state="queued")
    now = words.current(replace(row, memory=megabytes * 1024**2, time_limit=float(seconds)))
    assert (words.memory(now["mem"]), words.span(now["time"])) == (megabytes * 1024**2, seconds)


def test_a_dependency_that_may_fail_is_told_as_one() -> None:
    job = Job(
        id=7, owner="ann", name="x", spec=JobSpec(image="i"), request=JobRequest(),
        after=((5, "ok"), (6, "any")),
    )  # fmt: skip
    (row,) = job_rows("h", [job])
    assert row.after == ("5", "any:6")
    assert words.current(row)["after"] == "5,any:6"
