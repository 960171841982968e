# Runs one command. Arguments: MARK line LINE, or MARK words PROGRAM ARGUMENT...
# Standard input: NAME=VALUE lines for its environment, an empty line, and then nothing as long as it is wanted.
# Said on standard output: MARK+ before its output, MARK=CODE after it. sshd and berth give each command a
# process group of its own, which is ended when standard input ends; where there is none, nothing is ended.
exec 3<&0 </dev/null 2>&1;
mark=$1; kind=$2; shift 2;
while IFS= read -r word <&3 && [ -n "$word" ]; do export "$word"; done;
group=$$;
[ -r /proc/$$/stat ] && read -r a b c d group e </proc/$$/stat;
[ "$group" = $$ ] || [ "$group" = "$PPID" ] || group=;
{
  trap "" TERM;
  while read -r word; do :; done;
  [ -n "$group" ] && kill -TERM 0 && sleep 2 && kill -KILL 0;
} <&3 >/dev/null 2>&1 &
watch=$!;
echo "$mark+";
if [ "$kind" = line ]; then "${SHELL:-/bin/sh}" -c "$1" 3<&-; else "$@" 3<&-; fi;
code=$?;
exec 2>/dev/null;
kill -KILL "$watch";
echo "$mark=$code";
exit "$code";
