# JupyterLab. Its token comes by the environment: JUPYTER_TOKEN.
root=
[ "$(id -u)" != 0 ] || root=--allow-root
command -v jupyter-lab > /dev/null || exit 127
exec jupyter-lab --no-browser --ip="$BERTH_ADDRESS" --port="$BERTH_PORT" --port-retries=0 $root
