# Lists interactive shells inside a container but those of the shell OWN: one line each, PID USER TTY AGE START
# COMMAND. shells.sh stands before it.
own=$1;
list() {
  [ -n "$own" ] && tr "[:cntrl:]" " " <"/proc/$1/environ" 2>/dev/null | grep -qF " BERTH_SHELL=$own " && return 0;
  while IFS=: read -r user word id rest; do [ "$id" = "$2" ] && break; user=; done 2>/dev/null </etc/passwd;
  line=$(tr "[:cntrl:]" " " <"/proc/$1/cmdline" 2>/dev/null);
  printf "%s" "$1 ${user:-$2} $3 $4 $5 ${line:-$6}"; echo;
};
shells list;
