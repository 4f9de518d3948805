"""The keeper of a fleet, and the first process of each of its hosts.

`hosts.py` starts this file as a process of its own and speaks to it in lines of JSON. The keeper enters a fresh network
and mount namespace, so bridge, cables and disks exist only for as long as it lives: whatever way it ends, the kernel
takes everything down, and nothing was ever visible to the rest of the machine.

- The keeper watches its owner through a pidfd: an owner that is killed cannot say good-bye.
- A host asks the kernel for SIGKILL when the keeper dies; it is process 1 of its PID namespace, so all of it goes.
- The keeper has one thread, because that "parent died" signal is about the parent's thread, not its process.

Runs as root with the standard library only. Sizes are MiB, times are seconds.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
import uuid
from pathlib import Path

from tests.system import hosts_systemd
from tests.system.hosts_disk import DETACH, NO_DEV, NO_EXEC, NO_SUID, PRIVATE, READ_ONLY, RECURSIVE, Disk, bind, call, mount

NEW_MOUNT, NEW_UTS, NEW_IPC, NEW_PID, NEW_NET = 0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000
PARENT_DEATH_SIGNAL = 1

BRIDGE, GATEWAY = "bridge", "10.98.0.1"
BOOT_SECONDS = 60
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def ip(*commands):
    """Run several `ip` commands as one batch, in the caller's network namespace. Raises RuntimeError with ip's words."""
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True,
                          timeout=BOOT_SECONDS, env={"PATH": PATH})
    if done.returncode:
        raise RuntimeError(f"ip: {done.stderr.strip()} in {commands}")


class Boot:
    """The life of one host, from its first process on; everything here runs inside that process."""

    def __init__(self, host, fleet, disk, root, line):
        self.host, self.fleet, self.disk, self.root, self.line = host, fleet, disk, root, line
        self.groups = hosts_systemd.Groups(_full_name(fleet, host)) if fleet["systemd"] else None

    def run(self):
        """Become the host, tell the keeper, then collect dead children for ever."""
        call("prctl", PARENT_DEATH_SIGNAL, signal.SIGKILL)
        os.closerange(3, self.line.fileno())
        os.closerange(self.line.fileno() + 1, 1 << 12)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        if self.groups:
            self.groups.enter()
        call("unshare", NEW_MOUNT | NEW_UTS | NEW_IPC | NEW_NET)
        name = self.host["name"].encode()
        call("sethostname", name, len(name))
        self._mount()
        self.line.sendall(b"cable please\n")
        if self.line.recv(64) != b"cable is there\n":
            os._exit(1)  # the keeper has died meanwhile
        ip("link set dev lo up", f"address add {self.host['address']}/24 dev eth0", "link set dev eth0 up")
        if self.groups:
            hosts_systemd.become(self._greeted, self.line)
        self._start_sshd()
        self.line.sendall(b"ready\n")
        self.line.close()
        while True:
            signal.sigwait({signal.SIGCHLD})
            self._collect()

    def _mount(self):
        """Lay out the host's file systems, then make them the only ones there are."""
        self.disk.mount_as_root(self.root)
        self._mount_devices()
        mount("proc", self.root + "/proc", "proc", NO_SUID | NO_DEV | NO_EXEC)
        mount("sysfs", self.root + "/sys", "sysfs", NO_SUID | NO_DEV | NO_EXEC | READ_ONLY)
        if self.groups:
            self.groups.mount(self.root)
        mount("tmpfs", self.root + "/run", "tmpfs", NO_SUID | NO_DEV, "mode=755")
        mount("tmpfs", self.root + "/tmp", "tmpfs", NO_SUID | NO_DEV, "mode=1777")
        for made, mode in (("/run/lock", 0o1777), ("/run/sshd", 0o755)):
            os.mkdir(self.root + made)
            os.chmod(self.root + made, mode)
        boot = Path(self.root + "/run/boot_id")  # the kernel's own is that of the machine, whatever host is started anew
        boot.write_text(f"{uuid.uuid4()}\n")
        bind(str(boot), self.root + "/proc/sys/kernel/random/boot_id", read_only=True)
        for target, source in self.fleet["shared"].items():
            os.makedirs(self.root + target, exist_ok=True)
            bind(source, self.root + target, read_only=True)
        os.chdir(self.root)
        call("pivot_root", ".", ".")
        call("umount2", ".", DETACH)
        os.chdir("/")

    def _mount_devices(self):
        """Give the host harmless devices only: with the machine's /dev it could write to the machine's disk."""
        dev = self.root + "/dev"
        mount("tmpfs", dev, "tmpfs", NO_SUID | NO_EXEC, "mode=755,size=1m")
        for name in DEVICES:
            Path(dev, name).touch()
            bind(f"/dev/{name}", f"{dev}/{name}")
        mount("devpts", dev + "/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")
        mount("tmpfs", dev + "/shm", "tmpfs", NO_SUID | NO_DEV, "mode=1777")
        links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
        for name, target in links.items():
            os.symlink(target, f"{dev}/{name}")

    def _start_sshd(self):
        """Start sshd and wait until it greets. Raises RuntimeError with its log."""
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        log = "/var/log/sshd.log"
        os.posix_spawn("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-E", log], {"PATH": PATH, "LANG": "C.UTF-8"}, setsid=True,
                       setsigmask=(), setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ))
        if not self._greeted():
            raise RuntimeError("sshd does not answer: " + Path(log).read_text()[-1000:])

    @staticmethod
    def _greeted():
        """Whether sshd greets within the time for it."""
        deadline = time.monotonic() + BOOT_SECONDS / 2
        while time.monotonic() < deadline:
            try:
                with socket.socket() as greeting:  # not create_connection: it imports, and Python's files are no longer there
                    greeting.settimeout(2)
                    greeting.connect(("127.0.0.1", 22))
                    if greeting.recv(4) == b"SSH-":
                        return True
            except OSError:
                time.sleep(0.005)
        return False

    @staticmethod
    def _collect():
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


class Keeper:
    """Holds one fleet: answers its owner's requests, ends when the owner does."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.dir = Path(fleet["dir"])
        self.hosts = {host["name"]: host for host in fleet["hosts"]}
        self.pids, self.disks = {}, {}
        self.owner = os.pidfd_open(fleet["owner"])
        self.own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def prepare(self):
        """Make the operator's network and a disk a host. Raises OSError, RuntimeError or CalledProcessError."""
        call("unshare", NEW_MOUNT | NEW_NET)
        call("mount", None, "/", None, ctypes.c_ulong(RECURSIVE | PRIVATE), None)
        ip("link set dev lo up", f"link add name {BRIDGE} type bridge", f"address add {GATEWAY}/24 dev {BRIDGE}", f"link set dev {BRIDGE} up")
        for name, host in self.hosts.items():
            self.disks[name] = Disk(f"{self.dir}/{name}.disk", host["disk_mb"])
            self.disks[name].install(host, self.fleet)
            if self.fleet["systemd"]:
                hosts_systemd.sweep()
                hosts_systemd.install(self.disks[name])

    def boot(self, names):
        """Boot hosts side by side; returns their first processes' ids as the machine counts them. Raises RuntimeError."""
        self.kill(names)
        lines = {name: self._fork(name) for name in names}
        try:
            for name, line in lines.items():
                self._expect(name, line, "cable please\n")
                ip(f"link add name {name} type veth peer name eth0 address {self.hosts[name]['mac']} netns {self.pids[name]}",
                   f"link set dev {name} master {BRIDGE} up")
                line.sendall(b"cable is there\n")
            for name, line in lines.items():
                self._expect(name, line, "ready\n")
        except (OSError, RuntimeError):
            self.kill(names)
            raise
        finally:
            for line in lines.values():
                line.close()
        return {name: self.pids[name] for name in names}

    def _fork(self, name):
        """Make the host's first process; returns the line to it."""
        ours, theirs = socket.socketpair()
        ours.settimeout(BOOT_SECONDS)
        call("unshare", NEW_PID)  # is about children to come, hence the way back below
        pid = os.fork()
        if pid == 0:
            try:
                Boot(self.hosts[name], self.fleet, self.disks[name], f"{self.dir}/{name}.root", theirs).run()
            except BaseException:
                theirs.sendall(traceback.format_exc().encode())
            finally:
                os._exit(1)
        call("setns", self.own_pid_namespace, NEW_PID)
        theirs.close()
        self.pids[name] = pid
        return ours

    @staticmethod
    def _expect(name, line, word):
        heard = line.recv(4096).decode()
        if heard != word:
            raise RuntimeError(f"{name} does not boot: {heard or 'its first process has died'}")

    def kill(self, names):
        """Power hosts off: the cable first, so that no peer sees a polite end of its connections."""
        for name in names:
            self._unplug(f"link set dev {name} down", name)
            pid = self.pids.pop(name, None)
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # returns when every process of the host has gone
            if self.fleet["systemd"]:
                hosts_systemd.Groups(_full_name(self.fleet, self.hosts[name])).remove()
            self._unplug(f"link delete dev {name}", name)
        return {}

    @staticmethod
    def _unplug(command, name):
        """Run an ip `command` about a cable that may be gone: the kernel removes it some time after the host's last process."""
        try:
            if name in _links():
                ip(command)
        except RuntimeError:
            if name in _links():
                raise

    def serve(self):
        """Answer requests until the owner says `null`, hangs up or dies."""
        poll = select.poll()
        poll.register(sys.stdin.fileno(), select.POLLIN)
        poll.register(self.owner, select.POLLIN)
        while self.owner not in [ready for ready, _ in poll.poll()]:
            request = json.loads(sys.stdin.readline() or "null")
            if request is None:
                break
            verb, names = request
            self._answer({"boot": self.boot, "kill": self.kill}[verb], names)

    def _answer(self, act, *args):
        try:
            answer = {"ok": act(*args)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)

    def close(self):
        """End the hosts, then whatever else still runs in the operator's network namespace, then the fleet's directory."""
        self.kill(list(self.hosts))
        network = os.readlink("/proc/self/ns/net")
        for _ in range(200):
            left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != os.getpid() and _network(pid) == network]
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.01)
        for name in self.disks:
            call("umount2", f"{self.dir}/{name}.disk", DETACH)
        shutil.rmtree(self.dir, ignore_errors=True)


def _full_name(fleet, host):
    """A host's name among those of all fleets."""
    return f"{Path(fleet['dir']).name}-{host['name']}"


def _links():
    return {name for _, name in socket.if_nameindex()}


def _network(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None  # it has ended, or is about to


def main():
    """Keep the fleet that the first line of standard input describes."""
    os.umask(0o022)
    keeper = Keeper(json.loads(sys.stdin.readline()))
    try:
        keeper._answer(keeper.prepare)
        keeper.serve()
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
