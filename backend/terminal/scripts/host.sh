# Runs on a host, on a pty, for every kind of terminal; see backend/terminal/scripts.py for its arguments.
# One script that decides by itself, because every question asked from afar costs a round trip.
# It reaches the host as one line through any login shell: no single quotes, backslashes, exclamation marks or
# here-documents, and every statement ends in `;`.
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin;
export PATH;
unset TMUX TMUX_PANE;
say() { printf "%s" "berth: $*"; echo; };
quit() { code=$1; shift; say "$@"; exit "$code"; };

# A terminal this host never heard of: nearly all of them do what xterm does.
known_term() {
  case ${TERM:-dumb} in
    xterm | xterm-256color | screen | screen-256color | tmux | tmux-256color | linux) ;;
    *) tput -T "$TERM" clear >/dev/null 2>&1 || TERM=xterm-256color;;
  esac;
  export TERM;
};

usable() { [ -S "$1" ] && [ -r "$1" ] && [ -w "$1" ]; };

# find_engine KIND SOCKET: sets path, and url where the program would not go to that socket by itself. Without
# a socket it is the one that the rest of berth takes, in the order of backend/enginesockets.py.
find_engine() {
  cli=$1;
  url=${2:+unix://$2};
  runtime=${XDG_RUNTIME_DIR:-/run/user/$(id -u)};
  case $cli,$url,${DOCKER_HOST:-} in
    docker,, | auto,,)
      for each in /run/docker.sock /var/run/docker.sock "$runtime/docker.sock" "$HOME/.docker/run/docker.sock"; do
        if usable "$each"; then cli=docker; url=unix://$each; break; fi;
      done;;
    auto,,?*) cli=docker;;
  esac;
  case $cli,$url in
    podman, | auto,)
      if usable /run/podman/podman.sock; then
        cli=podman;
        [ "$(id -u)" = 0 ] || url=unix:///run/podman/podman.sock;
      elif [ "$cli" = auto ]; then
        cli=docker;
        if usable "$runtime/podman/podman.sock" || { command -v podman && [ -z "$(command -v docker)" ]; } >/dev/null 2>&1; then
          cli=podman;
        fi;
      fi;;
    auto,*)
      case $url in *podman*) cli=podman;; *) cli=docker;; esac;
      command -v "$cli" >/dev/null 2>&1 || { [ "$cli" = docker ] && cli=podman || cli=docker; };;
  esac;
  path=$(command -v "$cli") || quit 127 "the program $cli is not installed on this host, which a shell in a container needs.";
  flag=-H;
  [ "$cli" = docker ] || flag=--url;
};
engine() { "$path" ${url:+"$flag" "$url"} "$@"; };

# why CODE: after an unhappy end, what is the matter with the container.
why() {
  [ "$1" -ne 0 ] || return 0;
  state=$(engine container inspect -f "{{.State.Status}}" "$container" 2>&1) || case $state in
    *[Nn]"o such"*) quit 4 "there is no container $container on this host.";;
    *) quit "$1" "$state";;
  esac;
  case $state in
    running) ;;
    paused) quit "$1" "$container is paused: unpause it first.";;
    *) quit "$1" "$container is not running ($state): start it first.";;
  esac;
  case $1 in 126 | 127) no_shell "$1";; esac;
};

# no_shell CODE: the shell ended with 126 or 127, or it never came to be.
no_shell() {
  said=$(engine exec ${user:+-u "$user"} "$container" sh -c : 2>&1) && return 0;
  case $said in
    *"not found"* | *"no such file"*) ;;
    *) quit "$1" "$said";;
  esac;
  for each in $shells; do
    if engine exec ${user:+-u "$user"} "$container" "$each" -c : >/dev/null 2>&1; then
      say "$container has no sh; this is $each, and it ends with the connection.";
      engine exec -i -t -e TERM ${user:+-u "$user"} "$container" "$each";
      exit $?;
    fi;
  done;
  quit 127 "$container has no shell (tried: $shells sh). Run a program in it with exec, or attach to its own.";
};

# find_session: sets id to the session of this name that is wanted, else n to the number of a new one.
find_session() {
  id= attached=0 best= taken=" ";
  set -f;
  for each in $(tmux -u list-sessions -F "#{session_attached}:#{session_id}:#{session_name}" 2>/dev/null); do
    number=${each#*:*:"$stem"-};
    case $number in [0-9] | [0-9][0-9] | [0-9][0-9][0-9] | [0-9][0-9][0-9][0-9]) ;; *) continue;; esac;
    [ "${each#*:*:}" = "$stem-$number" ] || continue;
    taken="$taken$number ";
    rest=${each#*:};
    case $which in
      new) ;;
      first) [ "${each%%:*}" = 0 ] && [ "$number" -lt "${best:-10000}" ] && best=$number id=${rest%%:*};;
      *) [ "$number" = "$which" ] && id=${rest%%:*} attached=${each%%:*};;
    esac;
  done;
  set +f;
  case $which in
    new | first) n=1; while case $taken in *" $n "*) true;; *) false;; esac; do n=$((n + 1)); done;;
    *) n=$which;;
  esac;
};

# find_lost: sets id to the session where a link of ours was lost. As long as this host has not noticed, the
# client of that link still looks at it: it goes.
find_lost() {
  set -f;
  for each in $(tmux -u list-sessions -F "#{@berth}:#{session_id}:#{session_name}" 2>/dev/null); do
    mark=${each%%:*} rest=${each#*:};
    case " $lost " in *" ${mark:-none} "*) ;; *) continue;; esac;
    line=${rest%%:*} rest=${rest#*:};
    case ${rest#*:"$stem"-} in [0-9] | [0-9][0-9] | [0-9][0-9][0-9] | [0-9][0-9][0-9][0-9]) ;; *) continue;; esac;
    id=${rest%%:*};
    for each in $(tmux list-clients -t "$id" -F "#{client_tty}"); do
      if [ "$each" = "$line" ]; then tmux detach-client -t "$line"; fi;
    done;
    set +f;
    return 0;
  done;
  set +f;
  return 1;
};

# in_tmux COMMAND...: run it in a session; 1 where tmux does not work here, else it never returns.
in_tmux() {
  attached=0;
  [ -n "$lost" ] && find_lost || find_session;
  note=;
  if [ -z "$id" ]; then
    # Without the line that its status will take: a size that changes while an engine starts the shell may
    # never reach it. Who has no status line sees one line come.
    [ "$rows" -gt 1 ] && rows=$((rows - 1));
    while :; do
      id=$(tmux -u new-session -d -P -F "#{session_id}" -s "$stem-$n" -n "$window" -x "$columns" -y "$rows" -- sh -c "$visit" berth "$@" 2>&1) && break;
      case $id in
        *duplicate*) n=$((n + 1));;
        *) say "tmux does not work on this host ($id)."; return 1;;
      esac;
    done;
  elif [ "$attached" -gt 0 ]; then
    note="Also attached to this session: $(tmux list-clients -t "$id" -F "#{client_tty}" | tr "[:space:]" " ")";
    say "$note";
  fi;
  tmux set-option -q -t "$id" @berth "$me:$(tty)";
  tmux ${utf:+-u} attach-session -t "$id" ${note:+";" display-message "$note"};
  code=$?;
  [ -z "$container" ] || why "$code";
  exit "$code";
};

# run COMMAND...: persistent where that is wanted and possible.
run() {
  set -- "${path:-}" "${flag:-}" "${url:-}" "$container" "${token:-}" "${hang:-}" "$@";
  for each do set -- "$@" "$each."; shift; done;
  if [ "$which" = none ]; then :; else
    if command -v tmux >/dev/null 2>&1; then in_tmux "$@"; else say "tmux is not installed on this host."; fi;
    say "This shell ends with the connection.";
  fi;
  sh -c "$visit" berth "$@";
  code=$?;
  [ -z "$container" ] || why "$code";
  exit "$code";
};

mode=$1; shift;
known_term;
case $mode in
  enter)
    stem=$1 which=$2 utf=$3 columns=$4 rows=$5 visit=$6 window=$7 me=$8 lost=$9; shift 9;
    find_engine "$1" "$2"; container=$3 user=$4 token=$5 profile=$6 inside=$7 hang=$8; shift 8;
    shells="${1:+$1 }bash"; shift;
    run "$path" ${url:+"$flag" "$url"} exec -i -t -e TERM ${COLORTERM:+-e "COLORTERM=$COLORTERM"} -e "BERTH_SHELL=$token" -e "BERTH_PROFILE=$profile" ${user:+-u "$user"} "$container" sh -c "$inside" berth "$@";;
  login)
    stem=$1 which=$2 utf=$3 columns=$4 rows=$5 visit=$6 window=$7 me=$8 lost=$9; shift 9;
    container=;
    run env "$@" "${SHELL:-/bin/sh}" -l;;
  attach)
    find_engine "$1" "$2"; container=$3 keys=$4 user= shells=bash;
    facts=$(engine container inspect -f "{{.State.Status}}:{{.Config.Tty}}:{{.Config.OpenStdin}}" "$container" 2>/dev/null) || why 1;
    case $facts in
      running:true:*)
        exec 3>&1;
        said=$(engine attach --detach-keys "$keys" "$container" 2>&1 >&3);
        code=$?;
        case $said in
          *"detached from container"* | *"read escape sequence"*) exit 0;;
          "") ;;
          *) printf "%s" "$said"; echo;;
        esac;
        exit "$code";;
      running:false:true) engine attach --detach-keys "$keys" --sig-proxy=false "$container";;
      running:*) quit 1 "the process of $container has neither a terminal nor open input. What it prints is in its logs.";;
      *) why 1;;
    esac;;
  inside)
    find_engine "$1" "$2"; container=$3 script=$4; shift 4;
    engine exec -u 0 "$container" sh -c "$script" berth "$@";;
  session)
    tmux ${1:+-S "$1"} ${3:+-u} attach-session -t "$2";;
esac;
