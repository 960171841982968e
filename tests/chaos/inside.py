"""Runs on the host, on the agent as it is shipped: `python3 inside.py VERB`, JSON in, JSON out."""

import json
import sys

sys.path.insert(0, "/opt/agent.pyz")

from agent.queue import doorbell, lock, place
from agent.queue.jobs import Job, request_from, spec_from
from agent.queue.store import Store


def main() -> None:
    verb, body = sys.argv[1], json.loads(sys.stdin.read() or "{}")
    where = place.find()
    with Store.open(where) as store:
        answer = globals()[verb](store, body)
        if body.get("open"):  # then the keeper cannot be a fork of this process
            lock.ensure(where)
    doorbell.ring(where)
    if verb != "records":
        lock.ensure(where)
    print(json.dumps(answer))


def submit(store: Store, body: dict) -> list:
    jobs = [
        Job(
            0,
            body["user"],
            0,
            each["name"],
            spec_from(each["spec"]),
            request_from(each["request"]),
            retries=each.get("retries", 0),
            priority=each.get("priority", 0),
        )
        for each in body["jobs"]
    ]
    return store.submit(jobs, body["user"], key=body["key"])


def cancel(store: Store, body: dict) -> dict:
    return store.cancel(body["ids"], body["user"])


def records(store: Store, body: dict) -> dict:
    jobs = [json.loads(text) for text in store.listing("all")]
    return {"jobs": jobs, "events": store.events(since=body.get("since", 0)), "queue": store.queue_id}


main()
