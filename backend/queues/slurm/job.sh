# What a job of berth does on its node. Before this stand what it runs: kind, image, command, ...
# Its container is gone within seconds after the job, whatever ended that: a helper container, which is
# outside everything that Slurm kills, holds the other end of a pipe of this shell, and removes the job's
# container when the pipe breaks.

id=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
name=berth-slurm-$id
export BERTH_JOB_ID=$id BERTH_JOB_NAME=${SLURM_JOB_NAME:-}
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    export BERTH_ARRAY_ID=$SLURM_ARRAY_JOB_ID BERTH_ARRAY_INDEX=$SLURM_ARRAY_TASK_ID
fi
stopping='' signalled='' watching='' container=''

say() { printf 'berth: %s\n' "$*" >&2; }

finish() {
    if [ -n "$watching" ]; then kill "$watching" 2>/dev/null; fi
    if [ -n "$container" ]; then "$docker" rm -f "$name" >/dev/null 2>&1; fi
}

stop() {
    stopping=1 signalled=1
    if [ -n "$container" ]; then "$docker" stop -t 10 "$name" >/dev/null 2>&1 & fi
}

warn() { # the signal before the time is up
    signalled=1
    if [ -n "$container" ]; then "$docker" kill -s "$warn_signal" "$name" >/dev/null 2>&1; else
        kill -s "${warn_signal#SIG}" "$child" 2>/dev/null
    fi
}

ended() { # waits for $child, also through signals; its exit code is $code
    while :; do
        signalled=''
        wait "$child"
        code=$?
        if [ -z "$signalled" ]; then break; fi
    done
}

# ---------------------------------------------------------------------------------------- containers

# Run by the helper: after the shell's end, until nothing is left, also of a container that was being made.
reap='echo ready; cat >/dev/null; for again in 1 2 3 4; do "$0" rm -f "$1" >/dev/null 2>&1; sleep 0.5; done'

helper() {
    coproc HELPER { exec "$@" 2>/dev/null; }
    local line=''
    read -r -t 60 -u "${HELPER[0]}" line && [ "$line" = ready ]
}

guard() {
    local socket=${DOCKER_HOST:-unix:///var/run/docker.sock} folder
    local own=(run -i --rm --name "$name-reaper" --label "berth.reaper=$id" --network none --log-driver none
        --user 0:0 --security-opt label=disable --entrypoint /bin/sh)
    # the helper uses the node's own programs: the image may hold none
    for folder in /usr /bin /lib /lib64; do
        if [ -d "$folder" ]; then own+=(-v "$folder:$folder:ro"); fi
    done
    own+=(-v "${socket#unix://}:/berth-engine.sock" -e DOCKER_HOST=unix:///berth-engine.sock)
    helper "$docker" "${own[@]}" "$image" -c "$reap" "$docker" "$name" && return
    say "no helper container could be started; a process removes this job's container instead"
    helper setsid /bin/sh -c "trap '' HUP INT TERM; $reap" "$docker" "$name"
}

find_docker() {
    docker=$(command -v docker || command -v podman) && return
    say "there is neither docker nor podman on $(hostname)"
    exit 127
}

have_image() { # a name is pulled; an id has to be here, or in a file that all nodes find
    if "$docker" image inspect "$image" >/dev/null 2>&1; then return; fi
    if [ -n "$image_file" ] && [ -r "$image_file" ]; then
        say "this node does not have the image yet: it is loaded from $image_file"
        flock "$image_file" "$docker" load -q -i "$image_file" >/dev/null && return
        say "it could not be loaded"
        exit 125
    fi
    case $image in sha256:*) ;; *) return ;; esac
    say "$(hostname) does not have the image $image${image_file:+, and does not find $image_file}"
    exit 125
}

given_gpus() { # by the node's numbers: CUDA_VISIBLE_DEVICES may count from 0 again
    local list=${SLURM_JOB_GPUS:-${SLURM_STEP_GPUS:-}} number
    if [ "$gpus" -eq 0 ]; then return; fi
    if [ -z "$list" ]; then
        say "Slurm gave no GPU to this job, SLURM_JOB_GPUS is empty"
        exit 1
    fi
    if [ ! -e /dev/nvidiactl ] && [ -e /dev/kfd ]; then
        limits+=(--device /dev/kfd)
        for number in ${list//,/ }; do limits+=(--device "/dev/dri/renderD$((128 + number))"); done
    else
        limits+=(--gpus "\"device=$list\"")
    fi
}

allowed() { # the engine is outside of what Slurm confines: pass it on
    local cpus=${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}} here memory=${SLURM_MEM_PER_NODE:-}
    here=$(nproc)
    limits=(--cpus "$((cpus < here ? cpus : here))")
    limits+=(--cpuset-cpus "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)")
    if [ -z "$memory" ]; then memory=$((${SLURM_MEM_PER_CPU:-0} * ${SLURM_CPUS_ON_NODE:-1})); fi
    if [ "$memory" -gt 0 ]; then limits+=(--memory "${memory}m"); fi
    # else a command that is process 1 would not feel SIGTERM
    if [ -z "$tty" ] && command -v docker-init >/dev/null; then limits+=(--init); fi
    if [ -n "$as_me" ]; then limits+=(--user "$(id -u):$(id -g)"); fi
    given_gpus
}

passed() { # what of Slurm's words the job inside is told
    local word
    for word in "${!SLURM_@}" "${!BERTH_@}"; do
        case $word in
        SLURM_JOB_ID | SLURM_JOBID | SLURM_JOB_NAME | SLURM_JOB_PARTITION | SLURM_ARRAY_* | \
            SLURM_JOB_GPUS | SLURM_CPUS_PER_TASK | SLURM_RESTART_COUNT | BERTH_*) told+=(-e "$word") ;;
        esac
    done
}

run_docker() {
    local told=() all
    passed
    all=(--name "$name" --label "berth.job=$id" --label "berth.owner=$(id -un)" --label berth.cluster=slurm
        "${limits[@]}" "${options[@]}" "${told[@]}")
    if [ -n "$tty" ]; then
        # heard from its first word on: a shell that ends at once is removed before anybody could attach to it
        "$docker" create -i -t --rm "${all[@]}" --env-file <(printf '%s\n' "${environment[@]}") "$image" \
            "${command[@]}" >/dev/null || return
        "$docker" start --attach "$name" </dev/null &
    else
        "$docker" run --rm "${all[@]}" --env-file <(printf '%s\n' "${environment[@]}") "$image" \
            "${command[@]}" </dev/null &
    fi
    child=$!
    ended
    return "$code"
}

idle() { # ends a shell in which nothing was written for a while and nothing else runs
    local limit=$1
    sleep "$limit"
    while "$docker" inspect "$name" >/dev/null 2>&1; do
        if [ -z "$("$docker" logs --since "${limit}s" "$name" 2>&1 | head -c 1)" ] &&
            [ "$("$docker" top "$name" | wc -l)" -le 2 ]; then
            say "nothing happened in this shell for $limit s: it is ended"
            "$docker" rm -f "$name" >/dev/null 2>&1
        fi
        sleep $((limit < 60 ? limit : 60))
    done
}

# -------------------------------------------------------------------------------------- how it is run

attempt() {
    local word
    case $kind in
    docker)
        run_docker
        return
        ;;
    pyxis | edf) set -- srun --ntasks=1 "--cpus-per-task=${SLURM_CPUS_PER_TASK:-1}" "${options[@]}" -- ;;
    esac
    (
        for word in "${environment[@]}"; do export "${word?}"; done
        if [ -n "$tty" ]; then exec sleep infinity; fi
        exec "$@" "${command[@]}"
    ) </dev/null &
    child=$!
    ended
    return "$code"
}

watch() { # Slurm's own process beside this shell may be killed too; then nobody would end the job
    while [ -d "/proc/$1" ]; do sleep 2; done
    kill -TERM "$2"
    sleep 3
    kill -KILL "$2"
}

trap finish EXIT
trap stop TERM
if [ -n "$warn_signal" ]; then trap warn "${warn_signal#SIG}"; fi
watch "$PPID" "$$" </dev/null >/dev/null 2>&1 &
watching=$!
if [ "$kind" = docker ]; then
    find_docker
    have_image
    allowed
    guard
    container=1
    if [ -n "$idle_limit" ]; then idle "$idle_limit" </dev/null & fi
fi
for BERTH_JOB_ATTEMPT in $(seq 1 "$attempts"); do
    export BERTH_JOB_ATTEMPT
    attempt
    code=$?
    if [ "$code" -eq 0 ] || [ -n "$stopping" ] || [ "$BERTH_JOB_ATTEMPT" -eq "$attempts" ]; then break; fi
    say "attempt $BERTH_JOB_ATTEMPT failed with exit code $code; attempt $((BERTH_JOB_ATTEMPT + 1)) begins"
done
exit "$code"
