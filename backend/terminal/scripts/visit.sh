# Runs a command, in a pane of tmux or without it. Every argument carries one character more than it means,
# because tmux takes a `;` at its end for its own: CLI FLAG URL CONTAINER TOKEN HANG COMMAND...
# Engines leave a shell running when whoever entered is gone: hang up on it for them. Same rules as host.sh.
for each do set -- "$@" "${each%?}"; shift; done;
cli=$1 flag=$2 url=$3 container=$4 token=$5 hang=$6; shift 6;
gone() {
  trap "" HUP;
  [ -z "$cli" ] || "$cli" ${url:+"$flag" "$url"} exec -u 0 "$container" sh -c "$hang" berth "$token" </dev/null >/dev/null 2>&1;
  exit 129;
};
trap gone HUP;
[ -z "${TMUX:-}" ] || echo "Ctrl+B d (the prefix of tmux, then d) leaves this shell running; entering again comes back.";
"$@";
code=$?;
if [ -n "${TMUX:-}" ]; then
  here=$(tmux display-message -p -t "$TMUX_PANE" "#{session_windows}:#{window_panes}:#{session_id}");
  case $here in 1:1:*) tmux detach-client -s "${here##*:}" -E "exit $code" 2>/dev/null;; esac;
fi;
exit "$code";
