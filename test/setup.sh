#!/bin/sh
# setup.sh: what tests need beyond npm, installed where it is missing and we may.
#
# Says on its standard output, one line each, what the tests can count on (`HORAE_TEST_CHROMIUM=/usr/bin/chromium`) and
# what they cannot (`missing: Chromium: why`); everything else goes to standard error. We may as root, or in CI through a
# sudo that asks nothing; never by asking a person for a password. A part that cannot be had makes its tests skipped, not
# this script fail.

sudo=''
updated=''

may_install() {
  command -v apt-get >/dev/null 2>&1 || { why='there is no apt-get here'; return 1; }
  [ "$(id -u)" = 0 ] && return 0
  if [ "$CI" = true ] && sudo -n true 2>/dev/null; then sudo='sudo -n'; return 0; fi
  why='not installed, and only root may install it'
  return 1
}

# install PACKAGE...: with the package lists that are there, else with new ones.
install() {
  may_install || return 1
  echo "setup: installing $* with apt-get" >&2
  get="$sudo env DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -q -y -o DPkg::Lock::Timeout=300"
  $get install --no-install-recommends "$@" >&2 && return 0
  if [ -z "$updated" ]; then
    updated=yes
    $get update >&2 && $get install --no-install-recommends "$@" >&2 && return 0
  fi
  why="apt-get could not install $*"
  return 1
}

# Chromium answers with its version; the name alone may be a stub that only points to another store.
find_chromium() {
  for name in chromium chromium-browser google-chrome; do
    found=$(command -v "$name") && "$found" --version >/dev/null 2>&1 && { echo "$found"; return 0; }
  done
  return 1
}

chromium=$HORAE_TEST_CHROMIUM
[ -n "$chromium" ] || chromium=$(find_chromium) || { install chromium fonts-liberation && chromium=$(find_chromium); }
if [ -n "$chromium" ]; then
  echo "HORAE_TEST_CHROMIUM=$chromium"
else
  echo "missing: Chromium: ${why:-its installation does not start}"
fi

# Lines that people have in their scripts are replayed by what runs them there.
curl=$HORAE_TEST_CURL
[ -n "$curl" ] || curl=$(command -v curl) || { why=''; install curl && curl=$(command -v curl); }
if [ -n "$curl" ]; then
  echo "HORAE_TEST_CURL=$curl"
else
  echo "missing: curl: $why"
fi

# A cluster is tested against the real ZooKeeper: the jar of its servers, whose manifest names what else they need.
zookeeper=$HORAE_TEST_ZOOKEEPER
find_zookeeper() {
  command -v java >/dev/null 2>&1 && [ -r /usr/share/java/zookeeper.jar ] && echo /usr/share/java/zookeeper.jar
}
[ -n "$zookeeper" ] || zookeeper=$(find_zookeeper) || {
  why=''
  install zookeeper default-jre-headless && zookeeper=$(find_zookeeper)
}
if [ -n "$zookeeper" ]; then
  echo "HORAE_TEST_ZOOKEEPER=$zookeeper"
else
  echo "missing: ZooKeeper: ${why:-its installation has no server}"
fi

# Proves in which order a commit reaches the device.
if command -v strace >/dev/null 2>&1 || install strace; then
  echo 'HORAE_TEST_STRACE=1'
else
  echo "missing: strace: ${why:-it cannot be installed}"
fi

# Archives of every kind are made to be unpacked, those that climb out of their folder too.
archivers=$HORAE_TEST_ARCHIVERS
find_archivers() {
  for tool in python3 gzip bzip2 xz; do command -v "$tool" >/dev/null 2>&1 || return 1; done
  echo 1
}
[ -n "$archivers" ] || archivers=$(find_archivers) || {
  why=''
  install python3 gzip bzip2 xz-utils && archivers=$(find_archivers)
}
if [ -n "$archivers" ]; then
  echo "HORAE_TEST_ARCHIVERS=$archivers"
else
  echo "missing: python3, gzip, bzip2 and xz: $why"
fi

# Running something on another machine is tested against a real sshd; tests start their own, on ports and with keys of theirs.
sshd=$HORAE_TEST_SSHD
find_sshd() {
  command -v ssh >/dev/null 2>&1 && command -v ssh-keygen >/dev/null 2>&1 && command -v curl >/dev/null 2>&1 &&
    for found in /usr/sbin/sshd /usr/local/sbin/sshd; do [ -x "$found" ] && { echo "$found"; return 0; }; done
}
[ -n "$sshd" ] || sshd=$(find_sshd) || { why=''; install openssh-server openssh-client curl && sshd=$(find_sshd); }
if [ -n "$sshd" ]; then
  # Started as root it wants an empty directory there, which the system's own service makes.
  [ "$(id -u)" != 0 ] || mkdir -p -m 755 /run/sshd
  echo "HORAE_TEST_SSHD=$sshd"
else
  echo "missing: sshd: ${why:-its installation has no sshd}"
fi

# Tasks in containers are tested against a real engine, which takes root, and a kernel that lets us. Tests start their own.
docker_runs() {
  probe=$(mktemp -d)
  ip link add horae-probe type bridge 2>/dev/null || { why='no bridge can be made'; rmdir "$probe"; return 1; }
  echo '{}' > "$probe/none.json"
  dockerd --config-file "$probe/none.json" --host "unix://$probe/sock" --data-root "$probe/data" --exec-root "$probe/exec" \
    --pidfile "$probe/pid" --bridge horae-probe --iptables=false --ip6tables=false > "$probe/log" 2>&1 &
  engine=$!
  tries=0
  while ! grep -q 'API listen on' "$probe/log" && kill -0 $engine 2>/dev/null && [ $tries -lt 60 ]; do
    tries=$((tries + 1))
    sleep 0.5
  done
  grep -q 'API listen on' "$probe/log"
  ran=$?
  [ $ran = 0 ] || why="it does not start: $(tail -1 "$probe/log")"
  kill $engine 2>/dev/null
  wait $engine
  ip link del horae-probe
  for place in $(grep -o " $probe/[^ ]*" /proc/self/mounts | sort -r); do umount -l "$place"; done
  rm -rf "$probe"
  return $ran
}
find_docker() {
  [ -x /bin/busybox ] && /bin/busybox --list 2>/dev/null | grep -qx httpd && command -v ip >/dev/null 2>&1 &&
    command -v iptables >/dev/null 2>&1 && command -v dockerd
}
docker=$HORAE_TEST_DOCKER
if [ -z "$docker" ]; then
  why=''
  if [ "$(id -u)" != 0 ]; then
    why='only root may run one'
  elif docker=$(find_docker) || { install docker.io iptables busybox-static iproute2 && docker=$(find_docker); }; then
    docker_runs >&2 || docker=''
  fi
fi
if [ -n "$docker" ]; then
  echo "HORAE_TEST_DOCKER=$docker"
else
  echo "missing: Docker: ${why:-its installation has no dockerd}"
fi

# Some tests fill a file system of their own, which takes the right to mount one.
if [ "$(id -u)" = 0 ]; then
  probe=$(mktemp -d)
  if mount -t tmpfs -o size=64k tmpfs "$probe" 2>/dev/null; then
    umount "$probe"
    echo 'HORAE_TEST_MOUNT=1'
  else
    echo 'missing: mounting a small file system: refused, although we are root'
  fi
  rmdir "$probe"
else
  echo 'missing: mounting a small file system: only root may'
fi

# Some start tasks of other users.
if [ "$(id -u)" = 0 ]; then
  echo 'HORAE_TEST_ROOT=1'
else
  echo 'missing: root: nobody else starts tasks of other users'
fi

# What a task takes is held by control groups: one may be made beside those that are there, in each hierarchy that counts.
try_groups() {
  unified=''
  memory=''
  while read -r _ at type options _; do
    case "$type:,$options," in
      cgroup2:*) unified=$at ;;
      cgroup:*,memory,* | cgroup:*,cpu,* | cgroup:*,cpuacct,*)
        case ",$options," in *,memory,*) memory=$at ;; esac
        mkdir "$at/horae-probe-$$" && rmdir "$at/horae-probe-$$" || return 1
        ;;
    esac
  done < /proc/self/mounts
  [ -z "$memory" ] || return 0
  [ -n "$unified" ] && grep -qw memory "$unified/cgroup.controllers" || { echo 'no hierarchy with memory is mounted'; return 1; }
  mkdir "$unified/horae-probe-$$" && rmdir "$unified/horae-probe-$$" && echo +memory > "$unified/cgroup.subtree_control"
}
if [ "$(id -u)" != 0 ]; then
  echo 'missing: control groups: only root may make them'
elif refused=$(try_groups 2>&1); then
  echo 'HORAE_TEST_CGROUPS=1'
else
  echo "missing: control groups: refused, although we are root: $refused" | tr '\n' ' '
  echo
fi

# Control groups are of one version here: those of the other are tested under a kernel that is a program.
kernel=$HORAE_TEST_OWN_KERNEL
find_kernel() {
  command -v linux.uml
}
kernel_starts() {
  probe=$(mktemp -d)
  printf '#!/bin/sh\nmount -t cgroup2 none /sys/fs/cgroup; echo "has: $(cat /sys/fs/cgroup/cgroup.controllers)"; poweroff -f\n' > "$probe/init"
  chmod 755 "$probe/init"
  env HOME="$probe" TMPDIR="$probe" timeout -k 1 60 "$1" mem=128M quiet con=null con0=fd:0,fd:1 root=/dev/root rootfstype=hostfs \
    rootflags=/ ro "init=$probe/init" < /dev/null > "$probe/said" 2>&1
  grep -q 'has: .*memory' "$probe/said"
  started=$?
  [ $started = 0 ] || why="it does not start: $(tail -1 "$probe/said")"
  rm -rf "$probe"
  return $started
}
if [ -z "$kernel" ]; then
  why=''
  if kernel=$(find_kernel) || { install user-mode-linux iproute2 && kernel=$(find_kernel); }; then
    kernel_starts "$kernel" || kernel=''
  fi
fi
if [ -n "$kernel" ]; then
  echo "HORAE_TEST_OWN_KERNEL=$kernel"
else
  echo "missing: User Mode Linux: ${why:-its installation has no linux.uml}"
fi

# Some tests put machines of their own into network namespaces, and pull the cables between them.
try_namespaces() {
  ip link add hzprobe0 type veth peer name hzprobe1 && ip link del hzprobe0 &&
    unshare --net sh -ec '
      ip link set lo up
      echo 1 > /proc/sys/net/ipv4/ip_forward
      ip link add hzprobe0 type veth peer name hzprobe1
      ip rule add from 198.18.0.1 to 198.18.0.2 blackhole'
}
if [ "$(id -u)" != 0 ]; then
  echo 'missing: network namespaces: only root may make them'
elif ! command -v ip >/dev/null 2>&1 && ! install iproute2; then
  echo "missing: network namespaces: $why"
elif refused=$(try_namespaces 2>&1); then
  echo 'HORAE_TEST_NAMESPACES=1'
else
  echo "missing: network namespaces: refused, although we are root: $refused" | tr '\n' ' '
  echo
fi

exit 0
