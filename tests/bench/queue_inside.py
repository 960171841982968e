"""Runs on a lab host, beside its engine: `python3 queue_inside.py WHAT COUNT` tells how long it takes."""

import json
import os
import subprocess
import sys
import time

AGENT = ["python3", "-I", "-S", "/opt/agent.pyz", "queue"]
MARKS = "/var/tmp/marks"
IMAGE = "busybox:latest"
GPUS = 8


def ask(verb, body):
    done = subprocess.run(
        [*AGENT, verb], input=json.dumps(body).encode(), stdout=subprocess.PIPE, check=False
    )
    return json.loads(done.stdout)


def job(name, script="", **request):
    command = ["sh", "-c", f": >/marks/{name}; {script}"]
    return {
        "name": name,
        "spec": {"image": IMAGE, "command": command, "mounts": [[MARKS, "/marks", False]], "grace": 0.2},
        "request": request,
    }


def mark(name, since):
    """Milliseconds from `since` until the container made its first mark, by the kernel's clock."""
    path, patience = f"{MARKS}/{name}", time.monotonic() + 300
    while not os.path.exists(path):
        if time.monotonic() > patience:
            sys.exit(f"{name} did not come")
        time.sleep(0.002)
    return round((os.stat(path).st_mtime - since) * 1000, 1)


def keeper_gone():
    while any(comm(pid).startswith("berth-") for pid in os.listdir("/proc") if pid.isdigit()):
        time.sleep(0.05)


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def docker_run(name):
    before = time.time()
    script = f": >/marks/{name}"
    mount = f"{MARKS}:/marks"
    done = subprocess.Popen(["docker", "run", "--rm", "--init", "-v", mount, IMAGE, "sh", "-c", script])
    took = mark(name, before)
    done.wait()
    return took


def submitted(name, channel=None, **request):
    """By a process of its own, or over a channel that is open as the dashboard's is."""
    body = {"jobs": [job(name, **request)]}
    before = time.time()
    if channel is None:
        ask("submit", body)
    else:
        channel.stdin.write(json.dumps({"verb": "submit", "body": body}).encode() + b"\n")
        channel.stdin.flush()
        assert b'"ok"' in channel.stdout.readline()
    return mark(name, before)


def starts(count):
    """First instruction: by docker, by a queue without and with a keeper; alternating, for fairness."""
    found = {"docker": [], "first": [], "next": [], "process": [], "gpu": []}
    for number in range(count):
        keeper_gone()
        channel = subprocess.Popen([*AGENT, "batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        channel.stdin.write(b'{"verb": "list"}\n')
        channel.stdin.flush()
        channel.stdout.readline()
        found["docker"].append(docker_run(f"d{number}"))
        found["first"].append(submitted(f"f{number}", channel, cpus=1))
        found["next"].append(submitted(f"n{number}", channel, cpus=1))
        channel.stdin.close()
        channel.wait()
        found["process"].append(submitted(f"p{number}", cpus=1))
        keeper_gone()
        found["gpu"].append(submitted(f"g{number}", cpus=1, gpus=1))
    return found


def releases(count):
    """Milliseconds from a container's end to the next one's creation, start and first instruction.

    Each job has all GPUs, so that the next one waits for them. The ends are the engine's own.
    """
    watch = ["docker", "events", "--format", "{{json .}}", "--filter", "label=berth.queue"]
    events = subprocess.Popen(watch, stdout=subprocess.PIPE)
    jobs = [job(f"r{number}", "sleep 0.1", cpus=1, gpus=GPUS) for number in range(count + 1)]
    ids = {str(number) for number in ask("submit", {"jobs": jobs})["ok"]["ids"]}
    died, created, started = [], [], []
    for line in events.stdout:
        event = json.loads(line)
        if event["Actor"]["Attributes"].get("berth.job") not in ids:
            continue  # the end of one before
        at = event["timeNano"] / 1e6
        if event["Action"] == "die":
            died.append(at)
        elif event["Action"] == "create":
            created.append(at)
        elif event["Action"] == "start":
            started.append(at)
        if len(died) > count:
            break
    events.kill()
    begun = [os.stat(f"{MARKS}/r{number}").st_mtime * 1000 for number in range(1, count + 1)]
    nexts = {"create": created[1:], "start": started[1:], "first": begun}
    return {
        what: [round(new - old, 1) for old, new in zip(died, times, strict=False)]
        for what, times in nexts.items()
    }


def marked(name):
    """A program that notes its first instruction and its last one, a tenth of a second apart."""
    return f": >{MARKS}/{name}; sleep 0.1; : >{MARKS}/{name}-end"


def between(letter, count):
    """Milliseconds from each program's end to the first instruction of the next, once all have ended."""
    mark(f"{letter}{count}-end", 0)
    ends = [os.stat(f"{MARKS}/{letter}{number}-end").st_mtime for number in range(count)]
    begins = [os.stat(f"{MARKS}/{letter}{number}").st_mtime for number in range(1, count + 1)]
    return [round((begin - end) * 1000, 1) for end, begin in zip(ends, begins, strict=True)]


def spooler(count):
    """The same for task-spooler, whose jobs are programs without containers."""
    os.environ["TS_SOCKET"] = "/run/bench-tsp"
    for number in range(count + 1):
        subprocess.run(["tsp", "-n", "sh", "-c", marked(f"t{number}")], stdout=subprocess.DEVNULL, check=True)
    found = between("t", count)
    subprocess.run(["tsp", "-K"], check=False)
    return found


def gflow(count):
    """The same for gflow, each job waiting for the one before.

    Not for its GPUs: gflow 0.4 looks every 10 s whether processes are gone from them, and the ones here have
    none; jobs that wait for GPUs alone stay where they are until something else happens.
    """
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["gflowd", "start"], check=True, **quiet)
    while subprocess.run(["ginfo"], check=False, **quiet).returncode:
        time.sleep(0.1)
    for number in range(count + 1):
        script = f"{MARKS}/w{number}.sh"
        with open(script, "w") as file:
            file.write(f"#!/bin/sh\n{marked(f'w{number}')}\n")
        os.chmod(script, 0o755)
        after = ["--depends-on", "@"] if number else []
        subprocess.run(["gbatch", *after, script], check=True, **quiet)
    found = between("w", count)
    subprocess.run(["gflowd", "stop"], check=False, **quiet)
    return found


def slurm(count):
    """The same for Slurm: sbatch with all GPUs."""
    for number in range(count + 1):
        argv = ["sbatch", f"--gres=gpu:{GPUS}", "--output=/dev/null", "--wrap", marked(f"s{number}")]
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return between("s", count)


def at_once(count):
    """Submits at the same moment from two users: how many came through, and in how many seconds."""
    ask("pause", {"reason": "a bench"})
    before = time.time()
    running = []
    for number in range(count):
        user = ("alice", "bob")[number % 2]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *AGENT, "submit"]
        body = json.dumps({"jobs": [job(f"m{number}", cpus=1)]}).encode()
        process = subprocess.Popen(become, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(body)
        process.stdin.close()
        running.append(process)
    ids = []
    for process in running:
        ids += json.loads(process.stdout.read())["ok"]["ids"]
        process.wait()
    took = time.time() - before
    listed = [each["id"] for each in ask("list", {"which": "unfinished"})["ok"]["jobs"]]
    ask("cancel", {"ids": ids})
    ask("resume", {})
    return {
        "sent": count,
        "there": len(set(ids)),
        "in_order": listed == sorted(ids),
        "seconds": round(took, 2),
    }


def memory():
    """Kilobytes of each of the queue's processes, and their CPU seconds so far."""
    found = {}
    for pid in os.listdir("/proc"):
        name = comm(pid) if pid.isdigit() else ""
        if name.startswith("berth-"):
            with open(f"/proc/{pid}/smaps_rollup") as file:
                lines = dict(line.split(":", 1) for line in file if ":" in line and "kB" in line)
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            found[name] = {
                "rss": int(lines["Rss"].split()[0]),
                "pss": int(lines["Pss"].split()[0]),
                "cpu": cpu,
            }
    return found


def long_line(count):
    """So many waiting jobs: what they cost while nothing happens, and how long their list takes."""
    ask("submit", {"jobs": [job("holds", "sleep 1000", cpus=1, gpus=1)]})
    mark("holds", 0)
    ask("submit", {"jobs": [{**job("one", cpus=os.cpu_count()), "array": list(range(count))}]})
    time.sleep(6)
    before = memory()
    time.sleep(10)
    after = memory()
    times = []
    for _ in range(5):
        began = time.time()
        answer = ask("list", {"which": "unfinished"})
        times.append(round((time.time() - began) * 1000, 1))
    ids = [each["id"] for each in answer["ok"]["jobs"]]
    for at in range(0, len(ids), 5000):
        ask("cancel", {"ids": ids[at : at + 5000]})
    cpu = {name: round(after[name]["cpu"] - before[name]["cpu"], 2) for name in after if name in before}
    return {"memory": after, "cpu_in_10_s": cpu, "list_ms": times, "jobs": len(ids)}


os.makedirs(MARKS, exist_ok=True)
os.chmod(MARKS, 0o777)
print(json.dumps({"starts": starts, "releases": releases, "spooler": spooler, "gflow": gflow, "slurm": slurm,
                  "at_once": at_once, "long_line": long_line}[sys.argv[1]](int(sys.argv[2]))))  # fmt: skip
