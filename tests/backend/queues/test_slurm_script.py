"""sbatch's options and scripts: as text, and as bash reads them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.queues.base import Submission
from backend.queues.slurm import script
from backend.queues.slurm.meta import read_comment

NOW = datetime(2026, 11, 21, tzinfo=UTC)
JOB = Submission(command=("train.py", "a b"), image="img:1", name="t")
words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30)


@pytest.mark.parametrize(
    ("image", "runtime", "kind"),
    [
        ("pytorch:2", "", "docker"),
        ("/images/a.sqsh", "", "pyxis"),
        ("nvcr.io#nvidia/pytorch:24.01", "", "pyxis"),
        ("./env.toml", "", "edf"),
        ("", "", "bare"),
        ("busybox", "", None),
        ("busybox", "edf", "edf"),
        ("x.sqsh", "docker", "docker"),
    ],
)
def test_how_it_runs_follows_from_the_image(image: str, runtime: str, kind: str | None) -> None:
    assert script.kind_of(replace(JOB, image=image, runtime=runtime)) == kind


def test_what_is_asked_for_becomes_options() -> None:
    job = replace(
        JOB,
        gpus=2,
        cpus=8,
        memory=(3 << 30) + 1,
        time_limit=61.0,
        partition="a100",
        priority=-5,
        begin_at=NOW + timedelta(hours=1),
        after=(("12", "ok"), ("13", "any"), ("14_2", "ok")),
        hold=True,
        array=(1, 2, 3, 7),
        array_limit=2,
        warn_signal="SIGUSR1",
        outfile="/logs/100%.log",
    )
    found = script.options(job, "docker", NOW)
    for each in (
        "--gres=gpu:2",
        "--cpus-per-task=8",
        "--mem=3073M",
        "--time=2",
        "--partition=a100",
        "--nice=500",
        "--begin=now+3600",
        "--dependency=afterok:12:14_2,afterany:13",
        "--kill-on-invalid-dep=yes",
        "--hold",
        "--array=1-3,7%2",
        "--signal=B:USR1@60",
        "--output=/logs/100%%.log",
    ):
        assert each in found
    assert "--signal=USR1@60" in script.options(replace(job, outfile=""), "pyxis", NOW)


def test_what_lists_show_is_in_the_comment() -> None:
    (found,) = (each for each in script.options(JOB, "docker") if each.startswith("--comment="))
    meta = read_comment(found.removeprefix("--comment="))
    assert (meta.kind, meta.image, meta.command) == ("docker", "img:1", "train.py 'a b'")


def test_a_job_under_pyxis() -> None:
    job = replace(
        JOB,
        image="/images/a b.sqsh",
        mounts=(("/data", "/in", True), ("/out", "/out", False)),
        workdir="/in",
        env={"A": "1", "B": "x\ny"},
    )
    text = script.script(job, "pyxis").decode()
    assert "options=('--container-image=/images/a b.sqsh' --container-mounts=/data:/in:ro,/out:/out " in text
    assert "--container-workdir=/in --container-env=A,B)" in text
    assert "environment=(A=1 'B=x\ny')" in text


def test_a_job_in_an_edf_environment() -> None:
    text = script.script(replace(JOB, image="my env", workdir="/w"), "edf").decode()
    assert "options=('--environment=my env')" in text
    assert """command=(sh -c 'cd "$0" && exec "$@"' /w """ in text
    assert script.edf(replace(JOB, image="sub/env.toml")) == ["--environment=./sub/env.toml"]
    assert script.edf(replace(JOB, image="/e/env.toml")) == ["--environment=/e/env.toml"]


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("/images/a.sqsh", "/images/a.sqsh"),
        ("images/a.sqsh", "./images/a.sqsh"),
        ("../a.sqsh", "../a.sqsh"),
        (".hidden.sqsh", "./.hidden.sqsh"),
        ("ubuntu:24.04", "ubuntu:24.04"),
        ("nvidia/cuda:12.4.0-base", "nvidia/cuda:12.4.0-base"),
        ("nvcr.io/nvidia/pytorch:24.01-py3", "nvcr.io#nvidia/pytorch:24.01-py3"),
        ("nvcr.io#nvidia/pytorch:24.01-py3", "nvcr.io#nvidia/pytorch:24.01-py3"),
        ("localhost:5000/x", "localhost:5000#x"),
    ],
)
def test_an_image_as_pyxis_takes_it(image: str, told: str) -> None:
    """A file begins with / or ., a registry ends with #: see NVIDIA/pyxis, README and issue 127."""
    assert script.pyxis(replace(JOB, image=image, env={}, mounts=(), workdir="", user=None)) == [
        f"--container-image={told}"
    ]


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        (replace(JOB, gpu_ids=("GPU-1",)), "docker"),
        (replace(JOB, mounts=(("/a,b", "/in", False),)), "pyxis"),
        (replace(JOB, mounts=(("/a", "/in", False),)), "edf"),
        (replace(JOB, shm=1 << 30), "pyxis"),
        (replace(JOB, command=()), "bare"),
        (replace(JOB, command=("a\0b",)), "docker"),
        (replace(JOB, tty=True, idle_limit=60.0), "pyxis"),
    ],
)
def test_what_cannot_be_is_said(job: Submission, kind: script.Kind) -> None:
    with pytest.raises(UsageError):
        script.options(job, kind)


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "DOCKER_HOST", "a b"])
def test_names_that_a_shell_would_trip_over(name: str) -> None:
    with pytest.raises(UsageError):
        script.script(replace(JOB, env={name: "two\nlines"}), "docker")


@settings(max_examples=30)
@given(st.lists(words, min_size=1, max_size=4), words, words)
def test_bash_reads_every_word_as_it_was_written(command: list[str], value: str, image: str) -> None:
    job = replace(JOB, command=tuple(command), image=image, env={"X": value})
    text = script.script(job, "pyxis").decode()
    head = text[: text.index("# What a job of berth does")]
    show = 'printf "%s\\0" "$image" "${environment[@]}" "${command[@]}"\n'
    done = subprocess.run(["bash"], input=(head + show).encode(), capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [image, f"X={value}", *command]
    assert script.unpacked(text) == job


def test_a_job_is_made_again_of_its_script() -> None:
    job = replace(JOB, mounts=(("/a", "/b", True),), array=(1, 2), time_limit=5.0, user="1:2", env={"A": "x"})
    assert script.unpacked(script.script(job, "docker").decode()) == job
    assert script.unpacked("#!/bin/bash\n#berth:rubbish\n") is None
    assert script.unpacked("#!/bin/bash\necho hi\n") is None


def test_the_script_is_bash(tmp_path: Path) -> None:
    path = tmp_path / "job.sh"
    path.write_bytes(script.script(JOB, "docker"))
    checks = [["bash", "-n"]]
    if shutil.which("shellcheck"):
        checks.append(["shellcheck", "--severity=warning", "-e", "SC2034"])
    for check in checks:
        done = subprocess.run([*check, str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_container_runtime_is_given_srun(tmp_path: Path) -> None:
    """The body, with a stand-in for srun that shows its words."""
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "<%s>" "$@"\necho " $A $BERTH_JOB_ID"\nexit 5\n')
    srun.chmod(0o755)
    text = script.script(replace(JOB, image="a.sqsh", env={"A": "it's"}, cpus=3), "pyxis")
    done = subprocess.run(
        ["bash"],
        input=text,
        capture_output=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "9", "SLURM_CPUS_PER_TASK": "3"},
        check=False,
        timeout=20,
    )
    assert done.returncode == 5, done.stderr
    words = ["--ntasks=1", "--cpus-per-task=3", "--container-image=./a.sqsh", "--container-env=A", "--"]
    shown = "".join(f"<{word}>" for word in [*words, "train.py", "a b"])
    assert done.stdout.decode() == f"{shown} it's 9\n"
