# A service in a container, asked for as whoever runs it.
#
#   find NAME PORT              prints "runs PID PORT TOKEN", "starts ..." where it does not listen yet, or
#                               "free PORT", the next one that nobody has; Jupyter is found too where somebody
#                               started it by hand
#   start NAME PORT COMMAND...  starts it; prints its PID once it listens. 3: it ended; 4: it does not listen
#   settle NAME                 waits until one that was found listens; as start
#   last NAME                   prints the last line that it said
#   watch NAME PID              waits for its end; prints the end of what it said
#   stop NAME                   ends it. 5: it does not run
#
# Its files are in a folder that only its user can enter: /tmp/berth-UID/NAME. Its environment has BERTH_PORT,
# BERTH_ADDRESS and BERTH_TOKEN.
verb=$1
name=$2
shift 2
base=/tmp/berth-$(id -u)
folder=$base/$name
umask 077

began() { # PID: sets `now`, when it began; false where there is no such process
    { read -r line < "/proc/$1/stat"; } 2> /dev/null || return 1
    # shellcheck disable=SC2086
    set -- ${line##*) }
    now=${20}
    [ "$1" != Z ]
}

runs() { # sets `pid` and `port`
    [ -O "$folder" ] && { read -r pid start port < "$folder/pid"; } 2> /dev/null || return 1
    began "$pid" && [ "$now" = "$start" ]
}

listens() { # PORT
    hex=$(printf '%04X' "$1")
    grep -Eqs "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6
}

pause() {
    sleep 0.2 2> /dev/null || sleep 1
}

until_it_listens() { # 3: it ended; 4: it did not, for two minutes
    tries=0
    while [ "$tries" -lt 600 ]; do
        runs || return 3
        ! listens "$port" || return 0
        tries=$((tries + 1))
        pause
    done
    return 4
}

said() {
    [ ! -f "$folder/log" ] || tail -n 15 "$folder/log"
}

value() { # KEY FILE: a number or text of a JSON file
    sed -n 's/.*"'"$1"'": *"\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p' "$2" | head -n 1
}

by_hand() { # Jupyter that somebody started: sets `pid`, `port` and `token`
    [ "$name" = jupyter ] || return 1
    for file in "${JUPYTER_RUNTIME_DIR:-${XDG_DATA_HOME:-${HOME:-/}/.local/share}/jupyter/runtime}"/*server-*.json; do
        [ -O "$file" ] || continue
        pid=$(value pid "$file") port=$(value port "$file") token=$(value token "$file")
        began "${pid:-none}" && [ -n "$port" ] && listens "$port" && return 0
    done
    return 1
}

find() { # PORT
    if runs; then
        if listens "$port"; then word=runs; else word=starts; fi
        echo "$word $pid $port $(tr '\0' '\n' < "/proc/$pid/environ" 2> /dev/null | sed -n 's/^BERTH_TOKEN=//p')"
        return
    fi
    wanted=$1
    if by_hand; then
        echo "runs $pid $port $token"
        return
    fi
    port=$wanted
    while listens "$port"; do
        port=$((port + 1))
        [ "$port" -lt 65536 ] || port=1024
    done
    echo "free $port"
}

start() { # PORT COMMAND...
    port=$1
    shift
    mkdir -p "$folder"
    if [ -L "$base" ] || [ ! -O "$base" ] || [ -L "$folder" ] || [ ! -O "$folder" ]; then
        echo "$base belongs to somebody else" >&2
        exit 1
    fi
    rm -f "$folder/pid"
    PATH=$PATH:${HOME:-/}/.local/bin
    if command -v contenv > /dev/null; then set -- contenv "$@"; fi
    if command -v setsid > /dev/null; then set -- setsid "$@"; fi
    "$@" < /dev/null > "$folder/log" 2>&1 &
    pid=$!
    began "$pid" && echo "$pid $now $port" > "$folder/pid"
    until_it_listens
    case $? in
        0) echo "$pid" ;;
        3)
            wait "$pid"
            echo "exit $?"
            said
            exit 3
            ;;
        *)
            said
            exit 4
            ;;
    esac
}

settle() {
    until_it_listens
    case $? in
        0) echo "$pid" ;;
        3)
            echo "it did not say why"
            said
            exit 3
            ;;
        *)
            said
            exit 4
            ;;
    esac
}

last() {
    [ ! -f "$folder/log" ] || grep . "$folder/log" | tail -n 1
}

watch() { # PID
    began "$1" || return 0
    first=$now
    while began "$1" && [ "$now" = "$first" ]; do sleep 2; done
    said
}

stop() {
    runs || exit 5
    kill -TERM -- "-$pid" 2> /dev/null || kill -TERM "$pid"
    tries=0
    while runs; do
        tries=$((tries + 1))
        if [ "$tries" -gt 50 ]; then
            kill -KILL -- "-$pid" 2> /dev/null || kill -KILL "$pid"
            break
        fi
        pause
    done
    rm -f "$folder/pid"
}

"$verb" "$@"
