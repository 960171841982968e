# The first process of a workspace's container, as root: its pre-run hook at each start, then nothing.
# /run/berth/pre-run tells when the hook of this start has ended, and how: START CODE.
trap 'exit 0' TERM INT
hook=/usr/local/lib/berth/pre-run
place=/run/berth
mkdir -p "$place"
code=0
if [ -x "$hook" ]; then
    "$hook" > "$place/pre-run.log" 2>&1 &
    wait $!
    code=$?
    cat "$place/pre-run.log"
fi
read -r line < /proc/1/stat
# shellcheck disable=SC2086
set -- ${line##*) }
echo "${20} $code" > "$place/pre-run"
while :; do
    sleep 3600 &
    wait $!
done
