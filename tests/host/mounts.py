"""Small, full and read-only file systems under a host, in a mount namespace that only the host's engine and server see."""

import math
import os
import shutil
import subprocess
from pathlib import Path

from tests.host.bench_host import HostUnderPrefix
from tests.host.light_host import LightHost


def missing():
    """What this machine lacks for it."""
    return "root, for mounts of a test's own: sudo make test" if os.geteuid() or not shutil.which("nsenter") else ""


class Mounts:
    """The namespace; a process holds it until `close`, and whoever was started in it."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-m", "--"]

    def inside(self, *argv):
        return subprocess.run([*self.enter, *map(str, argv)], check=True, capture_output=True, text=True).stdout

    def seen(self, path):
        """A path in the namespace as this process reaches it."""
        return Path(f"/proc/{self.holder.pid}/root{path}")

    def disk(self, path, **options):
        """A disk of its own at a directory. options: size, nr_inodes. Once more: the same disk, larger or smaller."""
        words = ",".join(f"{key}={value}" for key, value in {"mode": "755", **options}.items())
        there = os.path.ismount(self.seen(path))
        self.inside("mkdir", "-p", path)
        self.inside("mount", *(["-o", f"remount,{words}"] if there else ["-t", "tmpfs", "-o", words, "tmpfs"]), path)

    def used(self, path):
        """(MiB, files) in use."""
        said = os.statvfs(self.seen(path))
        return (said.f_blocks - said.f_bfree) * said.f_frsize / 2**20, said.f_files - said.f_ffree

    def leave(self, path, megabytes):
        """Make a disk so small that this is free."""
        self.disk(path, size=f"{math.ceil(self.used(path)[0] + megabytes)}m")

    def read_only(self, path):
        self.inside("mount", "--bind", path, path)
        self.inside("mount", "-o", "remount,bind,ro", path)

    def writable(self, path):
        self.inside("umount", path)

    def close(self):
        self.holder.communicate()


class LightMounted(LightHost):
    """On such disks, with the light server."""

    def __init__(self, mounts):
        self.mounts = mounts
        super().__init__(enter=mounts.enter)

    @property
    def root(self):
        return self.mounts.seen(super().root)

    @property
    def state(self):
        return self.mounts.seen(super().state)

    def tree(self):
        """Everything below the application's directory but what is only kept to be fast."""
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.relative_to(self.root).parts[0] not in ("cache", "tools", "run"))


class PrefixMounted(HostUnderPrefix):
    """On such disks, with Apache and pip."""

    def __init__(self, mounts):
        super().__init__()
        self.mounts = mounts

    def argv(self):
        return [*self.mounts.enter, *super().argv()]

    @property
    def root(self):
        return self.mounts.seen(super().root)
