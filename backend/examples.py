"""What people type: examples of each verb, for its help and for the manual page.

A verb that stands nowhere here shows none. A test parses all of them with the real command line.
"""

from __future__ import annotations

Example = tuple[str, str]
"""A command line, and what it is for."""

GENERAL: tuple[Example, ...] = (
    ("berth", "open the dashboard"),
    ("berth gpus", "where is a GPU free?"),
    ("berth up work", "start the container of context work, made first where it is missing"),
    ("berth enter work", "and be inside; the shell outlives the connection"),
    ("berth run -g 1 -t 2h -- train.sh", "queue a job and follow it; the exit code is the job's"),
    ("berth ps --host h100-1 --json", "the containers of a host, for programs"),
    ("berth doctor h100-1", "why does this host not work?"),
    ("berth help images build", "all about one verb"),
)
"""Of `berth` itself."""

EXAMPLES: dict[str, tuple[Example, ...]] = {
    # ------------------------------------------------------------------------------------------- look
    "hosts": (
        ("berth hosts", "all of them, once"),
        ("berth hosts --watch --json", "one JSON array per line whenever something changed"),
    ),
    "gpus": (
        ("berth gpus --host h100-1 h100-2", "of two hosts"),
        ("berth gpus --json | jq '.[] | select(.free) | .host'", "hosts with a free GPU"),
    ),
    "ps": (("berth ps --host h100-1 --json", "as JSON"), ("berth ps --watch 5", "again every 5 seconds")),
    "contexts": (("berth contexts", "which there are, and whether their containers run"),),
    "jobs": (
        ("berth jobs", "what runs and what waits, on all hosts, and why"),
        ("berth jobs --ended -n 20 --owner alice", "how alice's last 20 jobs ended"),
    ),
    "nodes": (("berth nodes --host alps", "of one cluster"),),
    "partitions": (("berth partitions --json", "of all clusters, for programs"),),
    "images": (
        ("berth images --host h100-1", "which images a host has, and who uses them"),
        ("berth images build torch --host 'h100-*'", "build a recipe and all it stands on"),
    ),
    "sessions": (("berth sessions", "the tmux sessions of all hosts"),),
    "activity": (("berth activity --host h100-1 -n 10", "the last ten things done to a host"),),
    "doctor": (
        ("berth doctor", "all hosts, side by side"),
        ("berth doctor h100-1 --json", "one host, for programs"),
    ),
    # ------------------------------------------------------------------------------------- containers
    "start": (("berth start h100-1/train", "one that exists and is stopped"),),
    "stop": (
        ("berth stop h100-1/train --timeout 60", "give it a minute to end by itself"),
        ("berth stop 'h100-1/eval-*' --yes", "all of a name, without asking"),
    ),
    "restart": (("berth restart work", "the container of a context"),),
    "pause": (("berth pause h100-1/train", "it keeps its memory and its GPUs"),),
    "unpause": (("berth unpause h100-1/train", "and goes on"),),
    "kill": (("berth kill h100-1/train --signal USR1", "another signal than SIGKILL"),),
    "rm": (("berth rm h100-1/old", "stop, remove, force: each asked for"),),
    "rename": (("berth rename h100-1/train train-old", "its new name"),),
    "inspect": (("berth inspect h100-1/train --format json", "everything the engine knows of it"),),
    "top": (("berth top h100-1/train", "its processes, with their pid on the host"),),
    "signal": (("berth signal h100-1/train 4711 --signal TERM", "to one process, by its pid on the host"),),
    "exec": (
        ("berth exec work nvidia-smi", "in the container of a context"),
        ("berth exec h100-1/a h100-1/b -- uname -a", "in several"),
    ),
    "copy-out": (("berth copy-out work /root/results ./results", "from the container to here"),),
    "copy-in": (("berth copy-in work ./model.pt /root/model.pt", "from here into the container"),),
    "cp": (
        ("berth cp h100-1/train:/root/log.txt .", "out of a container"),
        ("berth cp model.pt work:/root/", "into the container of a context"),
    ),
    "commit": (
        ("berth commit h100-1/train team/train:v2 --message 'with triton'", "an image of it as it is"),
    ),
    "recreate": (("berth recreate h100-1/train --gpus 0,1 --env HF_HOME=/data/hf", "with other GPUs"),),
    "logs": (
        ("berth logs h100-1/train -f --grep loss", "follow what has the word"),
        ("berth logs 'h100-1/eval-*' --since 2h", "several, merged by time"),
    ),
    "open": (("berth open h100-1/jupyter 8888", "its port 8888, on 127.0.0.1 here"),),
    "envs": (("berth envs work", "Python, torch, triton, CUDA or ROCm inside"),),
    "install": (
        ("berth install work", "the packages of settings.yaml, the toolkit, the tuned environment"),
        ("berth install work ripgrep --dry-run", "one package; only show what would be done"),
    ),
    "uninstall": (("berth uninstall work", "toolkit and environment; packages stay"),),
    "private install": (("berth private install work --key ~/.ssh/id_ed25519", "with this key"),),
    "private rm": (("berth private rm work", "and prove that nothing is left"),),
    "private check": (("berth private check h100-1/train", "fails if it finds a private key"),),
    # ------------------------------------------------------------------------------ shells and sessions
    "enter": (
        ("berth enter work", "Ctrl+B d leaves the shell running; the same again goes back to it"),
        ("berth enter h100-1/train --new", "another shell beside those that are there"),
    ),
    "sh": (("berth sh h100-1/train", "ends with the connection"),),
    "root-shell": (("berth root-shell work", "as root, whoever the context says"),),
    "attach": (("berth attach h100-1/train", "Ctrl+P Ctrl+Q leaves it running"),),
    "login": (
        ("berth login h100-1", "a shell on the host"),
        ("berth login h100-1 --persist --context work", "in tmux, with BERTH_* variables of a context"),
    ),
    "session new": (("berth session new h100-1 build", "in the background"),),
    "session rename": (("berth session rename h100-1/build nightly", "its new name"),),
    "session attach": (("berth session attach h100-1/build", "Ctrl+B d leaves it"),),
    "session kill": (("berth session kill h100-1/build", "with all that runs in it"),),
    "killses": (("berth killses work", "lists the shells left inside, and asks"),),
    # --------------------------------------------------------------------------------------- contexts
    "up": (("berth up work", "pulled, placed on free GPUs, made and started as need be"),),
    "down": (("berth down work", "stop it; it stays, with all that is in it"),),
    "report": (("berth report --json", "all contexts on all hosts, for programs"),),
    "import": (
        ("berth import ssh --dry-run", "hosts of ~/.ssh/config; only show what would be written"),
        ("berth import container-juggle ~/mirror", "hosts.yaml and context/*.bash"),
    ),
    "context new": (
        ("berth context new work --host h100-1 --image nvcr.io/nvidia/pytorch:24.01-py3 --gpus 2", "a file"),
    ),
    "context show": (("berth context show work", "its values, image, container, and who is inside"),),
    "context set": (("berth context set work gpus=2 'mounts=[~/a:/a]'", "`KEY=` removes a value"),),
    "context edit": (("berth context edit work", "in $VISUAL or $EDITOR"),),
    "context use": (("berth context use work", "from now on berth up means this one"),),
    "context history": (("berth context history work", "earlier versions, and the commands that were run"),),
    "context drift": (("berth context drift work", "what a recreate would change"),),
    "context toggle": (("berth context toggle work", "tuned or raw shells, in the same container"),),
    "context rm": (("berth context rm work --container", "the file to the trash, and its container"),),
    "context restore": (("berth context restore work", "back from the trash"),),
    # ------------------------------------------------------------------------------------------- jobs
    "run": (
        ("berth run -g 1 -t 2h -- train.sh --lr 0.1", "a script of the project in this folder"),
        ("berth run --host any --image team/train:v2 -g 2 -d -- python train.py", "where it starts soonest"),
        ("berth run --array 1-20%4 -- eval.sh", "twenty jobs, four at once"),
    ),
    "shell": (("berth shell -g 1 -m 16 --idle 30m", "ends by itself when nobody uses it"),),
    "init": (("berth init", "make the current folder a project"),),
    "freeze": (("berth freeze demo.tar.gz", "the project's image as a file"),),
    "job logs": (("berth job logs -f h100-1/12", "follow it to its end"),),
    "job wait": (("berth job wait h100-1/12 h100-1/13", "the exit code is theirs"),),
    "job show": (("berth job show h100-1/12", "what it runs, what it has, why it waits"),),
    "job attach": (("berth job attach h100-1/12", "its terminal, or a shell beside it"),),
    "job kill": (("berth job kill h100-1/12", "one of yours is not asked about"),),
    "job hold": (("berth job hold h100-1/13", "it waits until it is released"),),
    "job release": (("berth job release h100-1/13", "and takes its turn again"),),
    "job move": (("berth job move h100-1/13 before 12", "among your own jobs"),),
    "job edit": (("berth job edit h100-1/13 --time 2h", "what a waiting job asks for"),),
    "job retry": (("berth job retry h100-1/12", "once more, exactly as it was"),),
    "job forget": (("berth job forget h100-1/12", "an ended job, with its output"),),
    "queue status": (("berth queue status h100-1", "what runs, waits and is free"),),
    "queue pause": (("berth queue pause h100-1 --reason 'new driver at 18:00'", "for everybody"),),
    "queue drain": (("berth queue drain h100-1 --reason 'moves to the new room'", "takes no new jobs"),),
    "queue resume": (("berth queue resume h100-1", "after a pause or a drain"),),
    "queue wake": (("berth queue wake h100-1", "in a boot script"),),
    "queue settings": (
        ("berth queue settings h100-1", "what holds for everybody"),
        ("berth queue settings h100-1 gpus-per-user=4", "change it, as root of the host"),
    ),
    "queue forget": (("berth queue forget h100-1 --days 90", "says which, and asks"),),
    # ----------------------------------------------------------------------------------------- images
    "push-image": (
        ("berth push-image work registry.example.org/dev:1", "clean, flatten, check for private keys, push"),
    ),
    "image pull": (("berth image pull debian:12 --host h100-1 h100-2", "on both at once"),),
    "image push": (("berth image push h100-1/team/train:v2", "checked for private keys before"),),
    "image save": (("berth image save team/train:v2 train.tar.gz --host h100-1", "into a file here"),),
    "image load": (("berth image load train.tar.gz --host h100-2", "from a file here"),),
    "image copy": (("berth image copy team/train:v2 --host h100-1 --to h100-2", "from host to host"),),
    "image tag": (("berth image tag team/train:v2 team/train:latest --host h100-1", "another name"),),
    "image check": (("berth image check h100-1/team/train:v2", "private keys in any layer"),),
    "image rm": (("berth image rm h100-1/team/train:v1", "one name; with the last the image goes"),),
    "image layers": (("berth image layers team/train:v2 --host h100-1 --full", "whole commands"),),
    "image sqsh": (("berth image sqsh h100-1/base:latest", "image.sqsh and env.toml for a cluster"),),
    "images build": (
        ("berth images build torch --host h100-1 h100-2", "and all it stands on, only what has changed"),
        ("berth images build torch --host tag:prod -j 2 --detach", "on all with a tag; do not wait"),
    ),
    "images builds": (("berth images builds --active", "those that have not ended"),),
    "images log": (("berth images log 3f2a", "the end of an id is enough"),),
    "images cancel": (("berth images cancel 3f2a", "whichever berth began it"),),
    "images follow": (("berth images follow 3f2a", "one that goes on by itself"),),
    "images retry": (("berth images retry 3f2a", "what was built is not built again"),),
    "images recipes": (("berth images recipes --root ~/dok", "below another folder"),),
    "images tree": (("berth images tree torch", "what it stands on, and what stands on it"),),
    "images render": (("berth images render torch --into ./rendered", "Dockerfile and context, to look at"),),
    "images new": (
        ("berth images new ssh ssh --base ubuntu:22.04", "people log in by SSH"),
        ("berth images new torch torch --host h100-1", "PyTorch for what that host's driver supports"),
    ),
    "images branch": (("berth images branch reasoning:2025.1 --host login1", "PROJECT_USER_TIME"),),
    "images prune": (("berth images prune --unused-for 30 --dry-run", "only show what would go"),),
    "edf render": (("berth edf render reasoning --host login1", "merged, with where values come from"),),
    "edf new": (("berth edf new mine --base reasoning --host login1", "~/.edf/mine.toml"),),
    "link": (
        ("berth link", "the page of the current commit"),
        ("berth link file train.py:42 --show", "a line of a file, in the browser"),
    ),
    # ------------------------------------------------------------------------------------- workspaces
    "workspace new": (("berth workspace new cookietts", "run-data, and container/ in src/cookietts"),),
    "workspace build": (("berth workspace build cookietts --host h100-1", "its image, from its hooks"),),
    "workspace run": (("berth workspace run cookietts --host h100-1", "its container, and a shell in it"),),
    "workspace shell": (("berth workspace shell cookietts", "another one"),),
    "workspace root": (("berth workspace root cookietts", "as root"),),
    "workspace jupyter": (("berth workspace jupyter cookietts --open", "in the browser"),),
    "workspace airflow": (("berth workspace airflow cookietts", "on 127.0.0.1 here, until Ctrl+C"),),
    "workspace service": (("berth workspace service cookietts tensorboard", "any that is declared"),),
    "workspace stop": (("berth workspace stop cookietts", "container and run-data stay"),),
    "workspace list": (("berth workspace list", "and where they run"),),
    # ------------------------------------------------------------------------------------------ files
    "push": (
        ("berth push --dry-run --host h100-1", "what would be done, file by file"),
        ("berth push code --watch", "what changes here is there within a second"),
    ),
    "pull": (("berth pull results --context work", "from the context's host"),),
    "sync run": (("berth sync notes", "each rule of a profile in its own direction"),),
    "sync history": (("berth sync history", "what was synced, and what can be undone"),),
    "sync undo": (("berth sync undo", "what the latest one replaced or deleted"),),
    "sync profiles": (("berth sync profiles", "berth's own, and those of sync.yaml"),),
    "sync show": (("berth sync show push", "as it would stand in sync.yaml"),),
    "pushdir": (("berth pushdir work/model --host h100-1", "replace one folder there, at once"),),
    "pulldir": (("berth pulldir work/model --host h100-1", "replace one folder here, at once"),),
    "tunnels": (("berth tunnels --watch", "where they lead, and what goes through"),),
    "tunnel hold": (
        ("berth tunnel work jupyter", "Jupyter in it, started where it does not run; until Ctrl+C"),
        ("berth tunnel h100-1/web 9000:80", "port 80 of a container, on port 9000 here"),
    ),
    "tunnel stop": (("berth tunnel stop 8888", "by its port here, or by its id"),),
    "tunnel open": (("berth tunnel open 8888", "its page, with the token"),),
    # ------------------------------------------------------------------------------------------ hosts
    "prepare": (("berth prepare h100-1 --dry-run", "what would be changed, as diff -u shows it"),),
    "unprepare": (("berth unprepare h100-1", "what you changed since stays"),),
    "each": (
        ("berth each -- uptime", "on all hosts at once"),
        ("berth each -- 'df -h / | tail -1'", "one word: a line for their shells"),
        ("berth each --tag gpu -- nvidia-smi -L", "several words: as they are"),
        ("berth each --local -- ping -c1 {address}", "here, once for each host"),
    ),
    "topology": (("berth topology h100-1", "NUMA nodes, links, and where a job would go"),),
    "mount": (("berth mount h100-1:/data ~/h100-data --ro", "only to be read"),),
    "mounts": (("berth mounts --json", "and whether they answer"),),
    "umount": (("berth umount --stale", "all that do not answer any more"),),
    "ownership watch": (("berth ownership watch h100-1", "the shared folders of settings.yaml"),),
    "ownership stop": (("berth ownership stop h100-1", "all that you began there"),),
    "ownership list": (("berth ownership list", "what is kept right, on all hosts"),),
    "disk show": (("berth disk h100-1", "file systems, and what the engine holds"),),
    "disk tree": (("berth disk tree h100-1:/home --depth 2", "the largest first"),),
    "disk top": (("berth disk top h100-1 --path /home --by owner", "who holds how much"),),
    "disk prune": (
        ("berth disk prune h100-1 --dry-run", "what nothing uses, and how much room it gives back"),
    ),
    "disk remove": (("berth disk remove h100-1:/data/old-runs", "says what goes and whose it is, and asks"),),
    "disk notify": (("berth disk notify h100-1:/home --over 200G --dry-run", "shown before it is sent"),),
    # ----------------------------------------------------------------------------------- berth itself
    "serve": (("berth serve --open", "prints an address with a token, and opens it"),),
    "completion": (
        ("source <(berth completion bash)", "in ~/.bashrc"),
        ("berth completion fish | source", "in config.fish"),
    ),
    "man": (("berth man | man -l -", "read it"), ("berth man > berth.1", "keep it")),
    "help": (("berth help", "all verbs"), ("berth help context new", "one verb")),
}
"""By the words of the verb."""
