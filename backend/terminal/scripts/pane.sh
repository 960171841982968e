# Runs a command in a pane of tmux, and gives its exit code to whoever looks at it when it ends. Its arguments
# carry one character more than they mean. Same rules as host.sh.
for each do set -- "$@" "${each%?}"; shift; done;
"$@";
code=$?;
here=$(tmux display-message -p -t "$TMUX_PANE" "#{session_windows}:#{window_panes}:#{session_id}");
case $here in 1:1:*) tmux detach-client -s "${here##*:}" -E "exit $code" 2>/dev/null;; esac;
exit "$code";
