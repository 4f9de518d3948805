"""A host whose first process is systemd, as on a Debian that was installed: its place in the machine's control groups, its units, its boot.

Runs as root with the standard library only.
"""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from tests.system.hosts_disk import NO_DEV, NO_EXEC, NO_SUID, call, mount

NEW_CGROUP = 0x02000000
SYSTEMD = "/lib/systemd/systemd"
PREFIX = "weft-test-host-"
#: What a Debian starts and a host for tests has no use for, or what would reach the machine's own kernel.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
          "getty.target", "kmod-static-nodes.service", "man-db.timer", "postgresql.service", "systemd-modules-load.service", "systemd-sysctl.service", "systemd-networkd.service", "systemd-networkd.socket", "systemd-resolved.service",
          "systemd-timesyncd.service", "systemd-udevd.service", "systemd-udev-trigger.service")
#: What Debian's packages enable when they are installed.
ENABLED = ("apache2.service", "ssh.service")


def hierarchies():
    """Where this machine's control groups are mounted that systemd uses: {"systemd": path, "unified": path}, either may be missing."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = after.split()[:3]
        if kind == "cgroup2":
            found.setdefault("unified", before.split()[4])
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.setdefault("systemd", before.split()[4])
    return found


class Groups:
    """The host's own control groups: below them it sees and makes what it likes."""

    def __init__(self, name):
        self.kinds = hierarchies()
        self.places = [Path(path, PREFIX + name) for path in self.kinds.values()]

    def enter(self):
        """Called by the host's first process, before its namespaces are made."""
        for place in self.places:
            place.mkdir(exist_ok=True)
            (place / "cgroup.procs").write_text("0")
        call("unshare", NEW_CGROUP)

    def mount(self, root):
        """As systemd expects them: the old layout with a unified part beside it, or the unified one alone."""
        flags, where = NO_SUID | NO_DEV | NO_EXEC, root + "/sys/fs/cgroup"
        if "systemd" not in self.kinds:
            mount("cgroup2", where, "cgroup2", flags)
            return
        mount("tmpfs", where, "tmpfs", flags, "mode=755")
        mount("cgroup", where + "/systemd", "cgroup", flags, "none,name=systemd")
        if "unified" in self.kinds:
            mount("cgroup2", where + "/unified", "cgroup2", flags)

    def remove(self):
        """After the host's last process has gone; the kernel may need a moment."""
        for place in self.places:
            for _ in range(100):
                _remove(place)
                if not place.exists():
                    break
                time.sleep(0.02)


def _remove(place):
    """The group and those below it, as far as they are empty of processes."""
    for folder, _folders, _files in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def sweep():
    """Remove the groups of hosts whose keeper was killed."""
    for path in hierarchies().values():
        for place in Path(path).glob(PREFIX + "*"):
            _remove(place)


def install(disk):
    """What systemd reads of a host's disk."""
    disk.write("/etc/machine-id", secrets.token_hex(16) + "\n", 0o444)
    for unit in MASKED:
        _link(disk, f"/etc/systemd/system/{unit}", "/dev/null")
    for unit in ENABLED:
        _link(disk, f"/etc/systemd/system/multi-user.target.wants/{unit}", f"/lib/systemd/system/{unit}")


def _link(disk, path, target):
    name = os.path.join(disk.directory(os.path.dirname(path)), os.path.basename(path))
    if not os.path.lexists(name):
        os.symlink(target, name)


def become(greeted, line):
    """Let systemd be the first process from here on; a child of it tells the keeper when sshd greets. Does not return."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    if os.fork():
        os.execve(SYSTEMD, [SYSTEMD, "--system", "--unit=multi-user.target"], {"container": "weft", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
    os.setsid()
    line.sendall(b"ready\n" if greeted() else b"sshd does not answer")
    os._exit(0)
