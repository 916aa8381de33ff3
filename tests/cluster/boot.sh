#!/bin/sh
# The life of a host, in namespaces of its own: it makes its root, waits for its cable, and runs sshd until it is killed.
#
# ROOT  an empty folder in which to build the root       DISK  this host's own disk; it outlives the host
# NAME, ADDRESS (with the length of its prefix), HOSTS   how it is called, and the names that it knows
# SHOWN folders of the machine's software, one a line: all that a host sees of it besides /usr and /etc
# VENV  the virtual environment, over which the host lays its own LAYER
set -eu

mount -t tmpfs none "$ROOT"
cd "$ROOT"

show() {  # read-only, at the same place
    mkdir -p "./$1"
    mount --bind "$1" "./$1"
    mount -o remount,bind,ro "./$1"
}

own() {  # from the host's disk
    mkdir -p "./$1" "$DISK/$1"
    mount --bind "$DISK/$1" "./$1"
}

for place in /bin /sbin /lib /lib64; do
    if [ -L "$place" ]; then cp -P "$place" "./$place"; elif [ -d "$place" ]; then show "$place"; fi
done
show /usr
show /etc
own "$HOME"
own /tmp
own /var
chmod 1777 tmp
echo "$SHOWN" | while read -r place; do show "$place"; done

mkdir -p "./$VENV" "$LAYER/upper" "$LAYER/work"
mount -t overlay overlay -o "lowerdir=$VENV,upperdir=$LAYER/upper,workdir=$LAYER/work" "./$VENV"

mkdir -p dev proc sys run
mount -t tmpfs none dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs none dev/shm -o size=1g
mount -t proc proc proc
mount -t sysfs sysfs sys -o ro
mount -t tmpfs none run
mkdir -p run/sshd run/lock
echo "$HOSTS" > run/hosts
: > run/resolv.conf
mount --bind run/hosts etc/hosts
if [ -f etc/resolv.conf ] && [ ! -L etc/resolv.conf ]; then mount --bind run/resolv.conf etc/resolv.conf; fi

mkdir old
pivot_root . old
cd /
umount -l /old
rmdir /old

hostname "$NAME"
read -r _  # the switch has plugged the cable in
ip link set lo up
ip address add "$ADDRESS" dev eth0
ip link set eth0 up

# Written to /run: what lies in /tmp is of the host's users.
[ -f "$HOME/.ssh/host_key" ] || ssh-keygen -q -t ed25519 -N "" -f "$HOME/.ssh/host_key"
/usr/sbin/sshd -f /dev/null -E /run/sshd.log -o ListenAddress="${ADDRESS%/*}" -o HostKey="$HOME/.ssh/host_key" -o UsePAM=no \
    -o StrictModes=no -o MaxStartups=100 -o PidFile=none -o PermitRootLogin=prohibit-password
echo up
while true; do sleep 3600 & wait $! || true; done
