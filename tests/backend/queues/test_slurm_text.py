"""What Slurm prints, and what people may have put into it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.model import JobRow
from backend.queues.slurm import amounts, nodes, text
from backend.queues.slurm.meta import NONE, Meta, comment, read_comment

END = "\x1fabc\x1f"
AT = datetime(2026, 11, 21, 5, 19, 17, tzinfo=UTC)
JOB = dict.fromkeys(text.JOB_FIELDS, "") | {
    "JobID": "6",
    "ArrayJobID": "1",
    "ArrayTaskID": "2",
    "UserName": "alice",
    "Name": "train",
    "State": "PENDING",
    "Reason": "Resources",
    "Partition": "main",
    "NumCPUs": "3",
    "tres-alloc": "cpu=3,mem=4.5G,node=2,billing=3",
    "tres-per-node": "gres:gpu:h100:2",
    "TimeLimit": "1-02:03:04",
    "SubmitTime": str(int(AT.timestamp())),
    "StartTime": "N/A",
    "EndTime": "N/A",
    "PriorityLong": "4294901759",
    "Comment": "(null)",
    "Command": "(null)",
    "WorkDir": "/home/alice",
    "Dependency": "afterok:4(unfulfilled),afterany:5_7(unfulfilled)",
    "exit_code": "0",
    "STDOUT": "/home/alice/100%%-%A_%a.log",
    "BatchHost": "n/a",
}
"""As squeue 22.05.8 of the lab printed one."""


def printed(*records: dict[str, str]) -> str:
    return "\n".join("".join(value + END for value in each.values()) for each in records) + "\n"


def one(**changes: str) -> JobRow:
    (found,) = text.jobs("c1", printed(JOB | changes), END)
    return found.row


def test_a_waiting_job_of_an_array() -> None:
    row = one()
    assert (row.id, row.array, row.state, row.reason) == ("1_2", "1_2", "queued", "waits for resources")
    assert (row.gpus, row.cpus, row.memory) == (4, 3, int(4.5 * 2**30))
    assert row.time_limit == 86400 + 2 * 3600 + 3 * 60 + 4
    assert (row.submitted_at, row.started_at, row.ended_at) == (AT, None, None)
    assert row.after == ("4", "any:5_7")
    assert row.log == "/home/alice/100%-1_2.log"
    assert row.place == 1


@pytest.mark.parametrize(
    ("state", "reason", "ours", "why"),
    [
        ("PENDING", "JobHeldUser", "held", "held"),
        ("RUNNING", "None", "running", ""),
        ("COMPLETING", "None", "running", "completing"),
        ("CONFIGURING", "None", "starting", ""),
        ("CANCELLED by 5001", "None", "cancelled", ""),
        ("TIMEOUT", "TimeLimit", "timeout", "its time was up"),
        ("NODE_FAIL", "None", "failed", "node fail"),
        ("OUT_OF_MEMORY", "OutOfMemory", "failed", "out of memory"),
        ("SOMETHING_NEW", "Other_Reason", "failed", "Other Reason"),
        ("PENDING", "(QOSMaxJobsPerUserLimit)", "queued", "QOSMaxJobsPerUserLimit"),
    ],
)
def test_states_in_our_words(state: str, reason: str, ours: str, why: str) -> None:
    row = one(State=state, Reason=reason)
    assert (row.state, row.reason) == (ours, why)


def test_exit_codes_are_true() -> None:
    ended = {"StartTime": "1795238357", "EndTime": "1795238359", "NodeList": "n1"}
    assert one(State="FAILED", exit_code="768", **ended).exit_code == 3
    assert one(State="FAILED", exit_code="9", **ended).exit_code == 137
    assert one(State="COMPLETED", exit_code="0", **ended).exit_code == 0
    assert one(State="CANCELLED", exit_code="0", **ended).exit_code is None
    assert one(State="RUNNING", exit_code="0", **ended).exit_code is None


def test_the_order_is_that_of_their_turn() -> None:
    jobs = [
        JOB | {"JobID": "1", "ArrayTaskID": "N/A", "PriorityLong": "10"},
        JOB | {"JobID": "2", "ArrayTaskID": "N/A", "PriorityLong": "20"},
        JOB | {"JobID": "3", "ArrayTaskID": "N/A", "State": "COMPLETED", "EndTime": "1795238300"},
        JOB | {"JobID": "4", "ArrayTaskID": "N/A", "State": "COMPLETED", "EndTime": "1795238400"},
        JOB | {"JobID": "5", "ArrayTaskID": "N/A", "State": "RUNNING"},
    ]
    rows = [found.row for found in text.jobs("c1", printed(*jobs), END)]
    assert [(row.id, row.place) for row in rows] == [
        ("5", None),
        ("2", 1),
        ("1", 2),
        ("4", None),
        ("3", None),
    ]


@given(st.text(max_size=200))
def test_a_name_forges_nothing(name: str) -> None:
    if END in name:
        return
    rows = [found.row for found in text.jobs("c1", printed(JOB | {"Name": name}, JOB), END)]
    assert [row.owner for row in rows] == ["alice", "alice"]
    assert name.rstrip(" ") in [row.name for row in rows]


@given(st.text(max_size=3000), st.sampled_from(["", END]))
def test_garbage_is_no_crash(garbage: str, end: str) -> None:
    noise = printed(JOB).replace("\x1f", garbage + "\x1f", 7) + end + garbage
    assert all(isinstance(each.row, JobRow) for each in text.jobs("c1", noise, END))
    assert text.history("c1", noise, END) is not None
    assert nodes.cluster("c1", noise, END) is not None
    assert isinstance(text.facts(garbage), dict)
    assert isinstance(read_comment("berth:" + garbage), Meta)


@given(st.lists(st.text(max_size=20), min_size=len(text.JOB_FIELDS), max_size=len(text.JOB_FIELDS)))
def test_no_field_is_trusted(values: list[str]) -> None:
    fields = dict(zip(text.JOB_FIELDS, values, strict=True)) | {"JobID": "7"}
    if not any(END in value or "\x1f" in value for value in values):
        assert [found.raw for found in text.jobs("c1", printed(fields), END)] == ["7"]


def test_comments_go_there_and_back() -> None:
    meta = Meta(kind="docker", image="a:b", command="x 'y' ∞", tty=True, retries=2)
    assert read_comment(comment(meta)) == meta
    assert read_comment("for my thesis") == NONE
    assert comment(Meta()).isascii() and " " not in comment(meta)


@pytest.mark.parametrize(
    ("tres", "count"),
    [
        ("gres:gpu:2", 2),
        ("gres:gpu", 1),
        ("gres/gpu:h100:3", 3),
        ("cpu=2,gres/gpu=4,gres/gpu:h100=4", 4),
        ("gpu:a100:4(S:0-1),gpu:t4:1(S:0,1)", 5),
        ("gpu:h100:2(IDX:0,3)", 2),
        ("gres:craynetwork:1", 0),
        ("N/A", 0),
    ],
)
def test_gpus_in_all_spellings(tres: str, count: int) -> None:
    assert amounts.gpus(tres) == count


def test_nodes_and_partitions() -> None:
    line = dict.fromkeys(nodes.NODE_FIELDS, "") | {
        "NodeHost": "n1",
        "StateLong": "mixed",
        "Partition": "main*",
        "Available": "up",
        "Time": "infinite",
        "Gres": "gpu:h100:4(S:0-1)",
        "GresUsed": "gpu:h100:3(IDX:0-2)",
        "CPUsState": "8/24/0/32",
        "Memory": "16000",
        "AllocMem": "4000",
        "Reason": "none",
    }
    down = line | {"NodeHost": "n2", "StateLong": "drained*", "Reason": "fans", "GresUsed": "gpu:h100:0"}
    short = line | {"Partition": "short", "Time": "1:00:00", "Available": "drain"}
    found, partitions = nodes.cluster("c1", printed(line, down, short), END)
    assert [(node.name, node.partitions, node.gpus, node.gpus_used) for node in found] == [
        ("n1", ("main", "short"), 4, 3),
        ("n2", ("main",), 4, 0),
    ]
    assert (found[0].cpus, found[0].cpus_used, found[0].memory) == (32, 8, 16000 << 20)
    assert (found[0].reason, found[1].reason) == ("", "fans")
    assert [(each.name, each.default, each.gpus, each.gpus_free, each.time_limit) for each in partitions] == [
        ("main", True, 8, 1, None),
        ("short", False, 4, 1, 3600.0),
    ]


def test_the_database_remembers_ended_jobs() -> None:
    past = dict.fromkeys(text.SACCT_FIELDS, "") | {
        "JobIDRaw": "12",
        "JobID": "11_4",
        "User": "bob",
        "JobName": "old\nname",
        "State": "OUT_OF_MEMORY",
        "NodeList": "n3",
        "AllocCPUS": "16",
        "ReqTRES": "billing=16,cpu=16,gres/gpu=2,mem=64G,node=1",
        "Timelimit": "02:00:00",
        "Submit": "1795238300",
        "Start": "1795238357",
        "End": "1795238359",
        "ExitCode": "0:125",
        "Comment": comment(Meta(kind="docker", image="img:1")),
    }
    running = past | {"JobIDRaw": "13", "JobID": "13", "State": "RUNNING", "End": "Unknown"}
    (found,) = text.history("c1", printed(past, running), END)
    row = found.row
    assert (row.id, row.owner, row.name, row.state, row.gpus) == ("11_4", "bob", "old\nname", "failed", 2)
    assert (row.reason, row.image, row.exit_code) == ("out of memory", "img:1", 253)


PAST = dict.fromkeys(text.SACCT_FIELDS, "") | {
    "JobIDRaw": "13",
    "JobID": "13_3",
    "User": "alice",
    "JobName": "arr",
    "State": "FAILED",
    "Partition": "main",
    "NodeList": "n1",
    "AllocCPUS": "1",
    "ReqTRES": "billing=1,cpu=1,mem=100M,node=1",
    "Timelimit": "365-00:00:00",
    "Submit": "1795247884",
    "Start": "1795247888",
    "End": "1795247889",
    "Priority": "4294901747",
    "Comment": comment(Meta(kind="docker", image="busybox:latest", gpus=1, outfile="/x.log")),
    "WorkDir": "/home/alice",
    "ExitCode": "3:0",
    "Reason": "JobArrayTaskLimit",
    "UID": "5001",
}
"""As sacct 22.05.8 of the lab printed one; its AccountingStorageTRES does not name gres/gpu."""


def past(**changes: str) -> JobRow:
    (found,) = text.history("c1", printed(PAST | changes), END)
    return found.row


def test_why_it_waited_is_not_why_it_ended() -> None:
    row = past()
    assert (row.id, row.state, row.exit_code, row.reason) == ("13_3", "failed", 3, "")
    assert past(State="TIMEOUT", ExitCode="0:15").reason == "its time was up"
    assert past(State="CANCELLED by 5001").reason == "cancelled by alice"
    assert past(State="CANCELLED by 0").reason == "cancelled by root"
    assert past(State="CANCELLED by 77").reason == "cancelled by user 77"
    never = past(
        State="CANCELLED", Start="Unknown", Reason="DependencyNeverSatisfied", NodeList="None assigned"
    )
    assert never.reason == "a job it waits for failed: it never starts"
    assert past(State="OUT_OF_MEMORY").reason == "out of memory"


def test_a_comment_tells_what_the_database_does_not() -> None:
    assert (past().gpus, past().log, past().image) == (1, "/x.log", "busybox:latest")
    assert past(ReqTRES="billing=1,cpu=1,gres/gpu=2,mem=100M,node=1").gpus == 2
    others = past(Comment="")
    assert (others.gpus, others.log) == (0, "")


def test_a_year_is_no_limit_and_no_expected_start() -> None:
    assert past().time_limit is None
    assert one(TimeLimit="365-00:00:00").time_limit is None
    assert one(StartTime=str(int(AT.timestamp()) + 364 * 86400)).expected_start is None
    assert one(StartTime=str(int(AT.timestamp()) + 9 * 86400)).expected_start is not None


def test_the_nodes_that_are_not_there_are_named() -> None:
    row = one(Reason="ReqNodeNotAvail, UnavailableNodes:n[1-2]")
    assert row.reason == "nodes it needs are down, drained or reserved: n[1-2]"
    words = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
    assert one(Reason=words).reason == words
