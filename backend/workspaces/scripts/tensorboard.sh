# TensorBoard over what the workspace generated, else over the folder it starts in.
command -v tensorboard > /dev/null || exit 127
logs=.
[ ! -d /data/generated ] || logs=/data/generated
exec tensorboard --logdir "$logs" --host "$BERTH_ADDRESS" --port "$BERTH_PORT"
