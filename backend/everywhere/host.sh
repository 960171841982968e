# Runs one command. Arguments: MARK line LINE, or MARK words PROGRAM ARGUMENT...
# Standard input: NAME=VALUE lines for its environment, an empty line, and then nothing as long as it is wanted.
# Said on standard output: MARK+ before its output, MARK=CODE after it. sshd and berth give each command a
# process group of its own, which is ended when standard input ends; where there is none, nothing is ended.
# This may run in the login shell itself ($_berth is set then): so a line for that needs no second one, which
# would read the same ~/.bashrc again; and names that a person has are left alone. What a person's `set -e` ends
# is the line, and not this, which has to say how that ended.
exec 3<&0 </dev/null 2>&1;
_berth_e=; case $- in *e*) _berth_e=1; set +e ;; esac;
_berth_mark=$1; _berth_kind=$2; shift 2;
while IFS= read -r _berth_x <&3 && [ -n "$_berth_x" ]; do export "$_berth_x"; done;
_berth_group=$$;
[ -r /proc/$$/stat ] && read -r _berth_x _berth_x _berth_x _berth_x _berth_group _berth_x </proc/$$/stat;
[ "$_berth_group" = $$ ] || [ "$_berth_group" = "$PPID" ] || _berth_group=;
{
  trap "" TERM;
  while read -r _berth_x; do :; done;
  [ -n "$_berth_group" ] && kill -TERM 0 && sleep 2 && kill -KILL 0;
} <&3 >/dev/null 2>&1 &
_berth_watch=$!;
echo "$_berth_mark+";
if [ "$_berth_kind" = words ]; then "$@" 3<&-;
elif [ -n "$_berth" ]; then _berth=$1; shift; ( exec 3<&-; [ -z "$_berth_e" ] || set -e; eval "$_berth" );
else "${SHELL:-/bin/sh}" -c "$1" 3<&-; fi;
_berth_code=$?;
exec 2>/dev/null;
kill -KILL "$_berth_watch";
echo "$_berth_mark=$_berth_code";
exit "$_berth_code";
