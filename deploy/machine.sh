#!/bin/bash
# A machine of the dev cluster: an engine, and the agent that is given as arguments. Ends when either does.
set -euo pipefail

# Read-only in a container that is not privileged.
mount -o remount,rw,bind /proc/sys
for point in $(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts); do mount -o remount,rw,bind "$point"; done

# Under the unified hierarchy a group with processes in it can have no groups with limits below it.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/init
  while read -r pid; do echo "$pid" > /sys/fs/cgroup/init/cgroup.procs || true; done < <(cat /sys/fs/cgroup/cgroup.procs)
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control; done
fi

# Of the container's last life, when it was killed.
rm -rf /run/docker /run/docker.pid /run/docker.sock
dockerd --shutdown-timeout 2 &
engine=$!
trap 'kill -TERM $(jobs -p) 2>/dev/null || true' TERM INT
until docker version > /dev/null 2>&1; do
  kill -0 "$engine" || exit 1
  sleep 0.1
done

"$@" &
wait -n || status=$?
kill -TERM $(jobs -p) 2>/dev/null || true
wait
exit "${status:-0}"
