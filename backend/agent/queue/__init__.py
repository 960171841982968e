"""The queue of one host: jobs that wait for GPUs, cores and memory, without a daemon.

The modules, and who may use whom (arrows of import one way):

    jobs        what a job is: Spec, Request, Job, and their JSON. Imports nothing of ours.
    machine     what the host has and what is busy on it: Machine, and MachineWatch, which reads it by
                topology (CPUs) and gpus (drivers, and who is on them).
    plan        plan(jobs, machine, limits, now) -> Plan. Pure: no clock, no disk, no engine. Its parts: line
                (order, who may start), room (what is free and kept), choose (which GPUs and CPUs), forecast
                (when), why (reasons in words).
    place       the queue's folder: where it is, whom it belongs to, whether it can be trusted.
    store       the SQLite file in it: every change of state is one transaction with an event row.
    api         verbs on the store for people: submit, list, kill ... One JSON object in, one out. They are in
                jobverbs and queueverbs (overview: status, estimate); asked and fields check what comes in,
                images resolves names, desk is what they work with.
    entry       `agent queue VERB`, batch and follow.
    doorbell    a datagram socket in the folder that wakes the keeper.
    lock        who keeps the queue, and `ensure`: start a keeper where there is none.
    keeper      one per host while jobs are unfinished: plan, book, start, record ends. What it works with:
                enginelink (events, requests), machines (the machine in a thread, with the containers of
                others), crew (all attempts under way), tasks (coroutines on the agent's loop), journal.
    runs        one attempt: create, start, limits (idle), stop, end. container and podman are what the engine
                is asked for; tidy and savelog what comes after the end.
    recover     database, labels and engine agree again after a crash: adopt, record, queue again. Its parts:
                verdict (what is believed), epoch (since when the engine looks), remains (what a container
                left on the machine).
    retention   what is old is forgotten, at a quiet moment.
    standby     who keeps the queue: starts keepers and standbys. waiting is all that a standby loads.
    detached    processes that outlive their parent.
    watch       for the agent of a dashboard: sends section `jobs` when the store changed.

The folder
    /var/lib/berth if it exists, else /var/tmp/berth; `BERTH_QUEUE_DIR` overrides (tests, unprivileged use).
    An engine of one's own (rootless) has its queue in /var/tmp/berth-UID.
    Mode 2770, group = the group of the engine's socket. Refused: a link, an owner that is neither root nor
    a member of that group, a mode that lets others write.

    queue.db          SQLite, WAL, mode 0660
    queue.id          ids of the databases that were here, the present one first
    queue.next        a number that no job's exceeds: a lost database's numbers are not given again
    keeper.lock       flock of the keeper; holds its pid
    doorbell          the socket
    logs/ID.log       output of ended jobs, 0640
    keeper.log        what the keeper did, and what went wrong
    queue.db.broken-TIME   a database that could not be read

Command line: `agent queue VERB` with one JSON object on stdin; one JSON object on stdout:
`{"ok": ...}` or `{"error": {"kind": "usage|missing|refused|failed", "message": ..., "hint": ...}}`.
Every verb that finds unfinished jobs and no keeper starts one.

A container of a job has the labels of `jobs.LABEL_*` and the name `berth-QUEUE-ID-ATTEMPT`: the engine itself
refuses a second container for the same attempt.
"""
