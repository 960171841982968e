# Becomes the shell of whoever enters a container: COUNT LINE... WORKDIR [SHELL...]. shells.sh stands before it.
told=0;
tell() {
  told=$((told + 1));
  [ "$told" -le 5 ] || return 0;
  while IFS=: read -r user word id rest; do [ "$id" = "$2" ] && break; user=; done 2>/dev/null </etc/passwd;
  printf "%s" "Also inside: ${user:-$2} on $3, $6 (pid $1)"; echo;
};
count=$1; shift;
while [ "$count" -gt 0 ]; do printf "%s" "$1"; echo; shift; count=$((count - 1)); done;
shells tell;
[ "$told" -le 5 ] || echo "and $((told - 5)) more";
[ -z "$1" ] || cd "$1" || echo "berth: the shell starts in $(pwd) instead.";
shift;
[ -n "${LC_ALL:-${LC_CTYPE:-${LANG:-}}}" ] || export LANG=C.UTF-8;
initial=${TERM%"${TERM#?}"};
for folder in /etc /lib /usr/share /usr/lib; do [ -e "$folder/terminfo/$initial/$TERM" ] && known=1; done;
[ -e "${HOME:-}/.terminfo/$initial/$TERM" ] && known=1;
[ -n "${known:-}" ] || export TERM=xterm-256color;
if [ $# -gt 0 ]; then
  command -v "$1" >/dev/null 2>&1 && exec "$@";
  echo "berth: this image has no $1.";
fi;
command -v bash >/dev/null 2>&1 && exec bash;
exec sh;
