#!/bin/sh
# Boots one lab host: boot.sh power DIR NETNS, where DIR is the host's folder (see tests/lab/root.py).
#
# Stage `power` runs on the machine: it joins the host's control groups and enters fresh namespaces.
# Stage `boot` runs inside them as PID 1: it mounts the host's own disk and file systems, makes that the
# root and becomes the host's init.
set -eu
stage=$1
dir=$2

power() {
    while read -r procs; do echo $$ >"$procs"; done <"$dir/cgroup.procs"
    exec nsenter --net="/run/netns/$1" unshare --mount --uts --ipc --cgroup --pid --fork --kill-child \
        --propagation private -- "$0" boot "$dir"
}

mount_disk() {
    if [ -e "$dir/disk.img" ]; then
        mount -o loop,noatime,noinit_itable "$dir/disk.img" "$root"
    else
        mount --bind "$dir/disk" "$root"
    fi
    cd "$root"
    if [ ! -e .seeded ]; then
        mkdir -p etc usr proc sys dev run root home tmp var/lib var/log var/tmp var/cache mnt .old
        for tree in etc usr; do mkdir -p ".layers/$tree/upper" ".layers/$tree/work"; done
        mkdir -p .layers/local/bin
        ln -sf /run var/run
        for link in bin sbin lib lib32 lib64 libx32; do
            if [ -L "/$link" ]; then ln -sf "usr/${link}" "$link"; fi
        done
        chmod 1777 tmp var/tmp
        chmod 700 root
    fi
    # The machine's programs, with a layer of the host's own on top; not what was added under /usr/local.
    for tree in etc usr; do
        mount -t overlay overlay "$tree" \
            -o "lowerdir=/$tree,upperdir=$root/.layers/$tree/upper,workdir=$root/.layers/$tree/work"
    done
    mount --bind .layers/local usr/local
    if [ -e "$dir/shared" ]; then mount --bind "$(cat "$dir/shared")" home; fi
    if [ ! -e .seeded ]; then
        sh "$dir/first-boot.sh"
        touch .seeded
    fi
}

mount_cgroups() {
    mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
    while read -r name type options; do
        if [ "$name" = . ]; then
            mount -t "$type" cgroup2 sys/fs/cgroup
            mkdir -p sys/fs/cgroup/init
            echo 0 >sys/fs/cgroup/init/cgroup.procs
            for controller in $(cat sys/fs/cgroup/cgroup.controllers); do
                echo "+$controller" >sys/fs/cgroup/cgroup.subtree_control || true
            done
        else
            mkdir -p "sys/fs/cgroup/$name"
            mount -t "$type" -o "$options" "cgroup" "sys/fs/cgroup/$name"
        fi
    done <"$dir/cgroups"
}

make_devices() {
    mount -t tmpfs -o mode=755 dev dev
    mkdir -p dev/pts dev/shm dev/net
    while read -r path major minor mode group; do
        mkdir -p "$(dirname "dev/$path")"
        mknod -m "$mode" "dev/$path" c "$major" "$minor"
        chgrp "$group" "dev/$path"
    done <"$dir/devices"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    for stream in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${stream#*:}" "dev/${stream%:*}"; done
    mount -t tmpfs -o mode=1777 shm dev/shm
}

boot() {
    root=$dir/root
    read -r stat </proc/self/stat
    set -- $stat
    echo "$1 ${22}" >"$dir/pid.new" # who is PID 1 as the machine sees it, and since when
    mv "$dir/pid.new" "$dir/pid"

    mount_disk
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount_cgroups
    make_devices
    mount -t tmpfs -o mode=755 run run
    mkdir -p run/sshd run/lock run/gpus
    mount --bind "$dir/gpus" run/gpus
    hostname "$(cat "$dir/hostname")"
    ip link set lo up
    pivot_root . .old
    cd /
    umount -l .old
    exec /usr/sbin/lab-init
}

case $stage in
power) power "$3" ;;
boot) boot ;;
esac
