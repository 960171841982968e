# Who listens on a port of this container, and what could reach its loopback. Prints two words:
#   any, loop (only its loopback) or none; and a program, or none.
port=$(printf '%04X' "$1")
listens=none
for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    while read -r _ local _ state _; do
        [ "$state" = 0A ] || continue
        case $local in
        ??????7F:"$port" | 00000000000000000000000001000000:"$port" | *FFFF0000??????7F:"$port")
            [ "$listens" = any ] || listens=loop
            ;;
        *:"$port") listens=any ;;
        esac
    done < "$table"
done
tool=none
for each in python3 python /opt/conda/bin/python3 /opt/venv/bin/python3 /usr/local/bin/python3 socat nc bash; do
    if command -v "$each" > /dev/null 2>&1; then
        tool=$each
        break
    fi
done
echo "$listens $tool"
