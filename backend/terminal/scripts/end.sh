# Ends processes inside a container, each given as PID:START, because a pid alone may be somebody else by now:
# SIGHUP, then SIGKILL to those that are still there after 3 s. Prints how many those were.
there() {
  { read -r stat <"/proc/${1%%:*}/stat"; } 2>/dev/null || return 1;
  start=${1#*:};
  set -f; set -- ${stat##*") "}; set +f;
  [ "$1" = Z ] && return 1;
  [ "${20}" = "$start" ];
};
any() { for one do there "$one" && return 0; done; return 1; };
for each do there "$each" && kill -HUP "${each%%:*}" 2>/dev/null; done;
tenths=0;
while any "$@" && [ "$tenths" -lt 30 ]; do
  if sleep 0.1 2>/dev/null; then tenths=$((tenths + 1)); else sleep 1; tenths=$((tenths + 10)); fi;
done;
killed=0;
for each do there "$each" && kill -KILL "${each%%:*}" 2>/dev/null && killed=$((killed + 1)); done;
echo "$killed";
