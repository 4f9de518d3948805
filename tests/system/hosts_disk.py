"""The file systems of a host: the mount calls, and the writable layer that makes the machine's `/` a host of its own.

Runs as root with the standard library only. Sizes are MiB.
"""

import ctypes
import glob
import os
import shutil
import stat
import subprocess
from pathlib import Path

READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
DETACH = 2
KEYGEN_SECONDS = 10

#: What a Debian has at its root. Anything else found there is the machine's own business and absent on a host.
ROOT_NAMES = frozenset("bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys tmp usr var".split())
#: Directories that exist on a host but start empty: people's files, and logs of the machine's own servers.
EMPTY = ("/root", "/home", "/media", "/mnt", "/srv", "/var/tmp", "/var/log/apache2", "/etc/ssh/sshd_config.d")
#: What a weft or an Apache at work on the machine itself has left, as patterns; Debian's own default site stays. And nginx, which would take port 80.
ABSENT = ("/var/app", "/var/lib/weft", "/etc/weft", "/etc/apache2/sites-enabled/*", "/etc/apache2/mods-enabled/passenger.*",
          "/etc/systemd/system/multi-user.target.wants/nginx.service", "/etc/ssh/ssh_host_*")
KEPT = ("/etc/apache2/sites-enabled/000-default.conf",)
#: Directories that are often file systems of their own; an overlay of `/` does not reach into them.
VOLUMES = ("/etc", "/usr", "/var", "/opt")

SSHD_CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
Include /etc/ssh/sshd_config.d/*.conf
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""

_libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """Call the C library's `name`; raises OSError where it answers -1."""
    encoded = [arg.encode() if isinstance(arg, str) else arg for arg in args]
    if getattr(_libc, name)(*encoded) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}{args}: {os.strerror(code)}")


def mount(source, target, kind, flags=0, options=""):
    """Mount `source` on `target`, which is made if it is absent. Raises OSError."""
    os.makedirs(target, exist_ok=True)
    call("mount", source, target, kind, ctypes.c_ulong(flags), options)


def bind(source, target, *, read_only=False):
    """Show `source` at `target` as well. Raises OSError."""
    call("mount", source, target, None, ctypes.c_ulong(BIND), None)
    if read_only:
        call("mount", None, target, None, ctypes.c_ulong(BIND | REMOUNT | READ_ONLY | NO_SUID | NO_DEV), None)


class Disk:
    """The writable layer of one host: a tmpfs of its own, which outlives the host's death but not the keeper's."""

    def __init__(self, where, size_mb):
        self.where = where
        self.volumes = ["/", *(path for path in VOLUMES if os.path.ismount(path))]
        mount("tmpfs", where, "tmpfs", 0, f"size={size_mb}m,mode=700")
        for volume in self.volumes:
            for layer in ("upper", "work"):
                os.makedirs(self._layer(volume, layer))
            shutil.copystat(volume, self._layer(volume, "upper"))

    def _layer(self, volume, layer):
        return f"{self.where}/{layer}{volume.replace('/', '-')}"

    def _upper(self, path):
        volume = max((v for v in self.volumes if path == v or path.startswith(v.rstrip("/") + "/")), key=len)
        return os.path.join(self._layer(volume, "upper"), os.path.relpath(path, volume))

    def directory(self, path):
        """Make `path` and what is above it, owned and moded as on the machine; returns where it lies."""
        upper = self._upper(path)
        if not os.path.isdir(upper):
            self.directory(os.path.dirname(path))
            os.mkdir(upper)
            if os.path.isdir(path):
                seen = os.stat(path)
                os.chown(upper, seen.st_uid, seen.st_gid)
                os.chmod(upper, stat.S_IMODE(seen.st_mode))
        return upper

    def empty(self, path):
        """Let `path` be a directory that shows nothing of the machine's."""
        os.setxattr(self.directory(path), "trusted.overlay.opaque", b"y")

    def absent(self, path):
        """Let `path` not exist, by the overlay's own mark for a deleted file."""
        if os.path.lexists(path) and not os.path.lexists(self._upper(path)):
            self.directory(os.path.dirname(path))
            os.mknod(self._upper(path), stat.S_IFCHR, os.makedev(0, 0))

    def write(self, path, text, mode=0o644):
        """Write a small file of the host's own."""
        upper = Path(self.directory(os.path.dirname(path)), os.path.basename(path))
        upper.write_text(text)
        upper.chmod(mode)

    def mount_as_root(self, root):
        """Mount machine and writable layer, as one tree, on `root`. Raises OSError."""
        for volume in self.volumes:
            layers = f"lowerdir={volume},upperdir={self._layer(volume, 'upper')},workdir={self._layer(volume, 'work')}"
            mount("overlay", root + volume.rstrip("/"), "overlay", 0, layers + ",redirect_dir=on")

    def install(self, host, fleet):
        """Fill a new disk with what makes `host` a host of `fleet`."""
        for path in [*EMPTY, *(path for path in fleet["hide"] if os.path.isdir(path))]:
            if os.path.isdir(path):
                self.empty(path)
        strays = [f"/{name}" for name in os.listdir("/") if name not in ROOT_NAMES]
        for path in strays + [found for pattern in ABSENT for found in glob.glob(pattern)]:
            if path not in KEPT:
                self.absent(path)
        self.write("/etc/hostname", host["name"] + "\n")
        self.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n" + "".join(
            f"{member['address']} {member['name']}\n" for member in fleet["hosts"]))
        self.write("/etc/ssh/sshd_config", SSHD_CONFIG)
        self.write("/root/.ssh/authorized_keys", fleet["public_key"], 0o600)
        os.chmod(self.directory("/root/.ssh"), 0o700)
        for kind in ("ed25519", "ecdsa"):  # rsa, the third of `ssh-keygen -A`, alone takes longer than the whole boot
            key = os.path.join(self.directory("/etc/ssh"), f"ssh_host_{kind}_key")
            for mark in (key, key + ".pub"):  # what hides the machine's own key
                Path(mark).unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", host["name"], "-f", key], check=True, timeout=KEYGEN_SECONDS)
