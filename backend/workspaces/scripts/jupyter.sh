# Jupyter, whichever there is. Its token comes by the environment: JUPYTER_TOKEN.
root=
[ "$(id -u)" != 0 ] || root=--allow-root
for each in lab notebook server; do
    if command -v "jupyter-$each" > /dev/null; then
        exec "jupyter-$each" --no-browser --ip="$BERTH_ADDRESS" --port="$BERTH_PORT" --port-retries=0 $root
    fi
done
exit 127
