# Airflow with its scheduler: `standalone` from version 2.2 on, else its web server and scheduler.
command -v airflow > /dev/null || exit 127
if [ -z "${AIRFLOW_HOME:-}" ]; then
    if [ -w /data ]; then AIRFLOW_HOME=/data/airflow; else AIRFLOW_HOME=$HOME/airflow; fi
fi
export AIRFLOW_HOME
mkdir -p "$AIRFLOW_HOME"
if airflow standalone --help > /dev/null 2>&1; then
    export AIRFLOW__WEBSERVER__WEB_SERVER_HOST="$BERTH_ADDRESS" AIRFLOW__WEBSERVER__WEB_SERVER_PORT="$BERTH_PORT"
    export AIRFLOW__API__HOST="$BERTH_ADDRESS" AIRFLOW__API__PORT="$BERTH_PORT"
    exec airflow standalone
fi
airflow initdb || airflow db init
airflow scheduler &
exec airflow webserver --hostname "$BERTH_ADDRESS" --port "$BERTH_PORT"
