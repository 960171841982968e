# Waits until the pre-run hook of this start has ended. Prints its exit code, and the end of what it said.
read -r line < /proc/1/stat
# shellcheck disable=SC2086
set -- ${line##*) }
while :; do
    start=
    { read -r start code < /run/berth/pre-run; } 2> /dev/null
    [ "$start" != "${20}" ] || break
    sleep 0.2 2> /dev/null || sleep 1
done
echo "$code"
[ "$code" = 0 ] || tail -n 15 /run/berth/pre-run.log
