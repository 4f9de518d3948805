"""Several real hosts on one machine, for tests and for trying things by hand: `python -m tests.system.hosts up 2`.

A host has its own network address, processes, host name and disk; sshd answers on it, Apache is installed and not started.
The machine's `/` is the layer below its disk, without the machine's own sites, keys and homes. Tests act from the operator's
network, which the hosts can be reached from and nothing else:

    with Fleet(2, shared={"/srv/artifacts": store}) as fleet:
        fleet.run(["ssh", "-F", fleet.ssh_config, "web1", "hostname"])
        fleet.hosts[1].kill()

Needs root, and no container engine. Sizes are MiB, times are seconds; `missing()` says what the machine lacks.
"""

import atexit
import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.system.hosts_sweep import BASE, MARK, PREFIX, in_session, sweep, write_owner

NETWORK = "10.98.0"
KEEPER_SECONDS = 30
HOST_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root",
                    "LOGNAME": "root", "SHELL": "/bin/bash", "LANG": "C.UTF-8", "TERM": "dumb"}
PACKAGES = {"/usr/sbin/apache2": "apache2", "/usr/lib/apache2/modules/mod_wsgi.so": "libapache2-mod-wsgi-py3",
            "/usr/sbin/sshd": "openssh-server", "/usr/bin/ssh": "openssh-client", "/usr/bin/ssh-keygen": "openssh-client",
            "/sbin/ip": "iproute2", "/sbin/tc": "iproute2", "/lib/systemd/systemd": "systemd", "/usr/bin/nsenter": "util-linux", "/usr/bin/sudo": "sudo"}


class FleetError(Exception):
    """A fleet or a host could not do what was asked; the text says why, in the keeper's words."""


def missing() -> list[str]:
    """What this machine lacks to run hosts, as words for a person; empty when all is there."""
    lacks = [] if sys.platform == "linux" else ["Linux"]
    lacks += [] if os.geteuid() == 0 else ["root (namespaces and mounts need it)"]
    absent = sorted({package for path, package in PACKAGES.items() if not os.path.exists(path)})
    return lacks + [f"the package {package} (apt-get install {package})" for package in absent]


class Host:
    """One host of a fleet; `pid` is its first process as the machine counts it, None while it is off."""

    def __init__(self, fleet: "Fleet", number: int, disk_mb: int):
        self.fleet, self.name, self.address = fleet, f"web{number}", f"{NETWORK}.{10 + number}"
        self.mac, self.disk_mb = f"02:00:0a:62:00:{10 + number:02x}", disk_mb
        self.pid: int | None = None
        self._netem, self._cut = "", False

    def run(self, argv: Sequence[str], input: str | None = None, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess:
        """Run a command as root on the host, past SSH and the network.

        Raises CalledProcessError with the command's own words when `check`, TimeoutExpired after killing it,
        FleetError while the host is off.
        """
        return _run([*self._enter(), "-m", "-u", "-i", "-n", "-p", "--", *argv], input, check, timeout, env=HOST_ENVIRONMENT, cwd="/")

    def read(self, path: str) -> str:
        """The text of a file on the host. Raises CalledProcessError when it cannot be read."""
        return self.run(["cat", "--", path]).stdout

    def kill(self) -> None:
        """Cut the power: every process ends at once and no peer gets a word of it; the disk stays."""
        self.fleet._ask("kill", [self.name])
        self.pid = None

    def start(self, commands: Sequence[Sequence[str]] = ()) -> None:
        """Power on with the disk as it was left; sshd answers on return. `commands` then run in turn, as a boot would."""
        self.fleet._boot([self])
        for argv in commands:
            self.run(argv)

    def cut(self) -> None:
        """Pull the network cable; it stays pulled over a restart."""
        self._cut = True
        self._plug()

    def join(self) -> None:
        """Plug the network cable in again."""
        self._cut = False
        self._plug()

    def netem(self, rule: str) -> None:
        """Spoil the network by a `tc netem` rule such as `delay 50ms loss 5%`, in each direction; "" mends it.

        Raises FleetError when the kernel was built without netem, or with tc's words when it does not know the rule.
        """
        verb = "replace" if rule else "delete"
        for enter, link in ((self.fleet._enter(), self.name), (self._enter(), "eth0")):
            words = ["tc", "qdisc", verb, "dev", link, "root", *(["netem", *rule.split()] if rule else [])]
            done = _run([*enter, "-n", "--", *words], check=False)
            if done.returncode and rule:
                raise FleetError(f"no netem on {self.name} ({rule}): {done.stderr.strip()}")
        self._netem = rule

    def lose(self, percent: float) -> None:
        """Lose so many of the frames from and to the operator; needs a fleet with an `rtt`."""
        print(f"{self.mac} {percent}", file=self.fleet._link.stdin, flush=True)

    def _plug(self) -> None:
        if self.pid:
            _run([*self.fleet._enter(), "-n", "--", "ip", "link", "set", "dev", self.name, "down" if self._cut else "up"])

    def _enter(self) -> list[str]:
        if not self.pid:
            raise FleetError(f"{self.name} is off: start() it first")
        return ["nsenter", "-t", str(self.pid)]

    def _booted(self, pid: int) -> None:
        self.pid = pid
        if self._cut:
            self._plug()
        if self._netem:
            self.netem(self._netem)


class Fleet:
    """Some hosts and the operator's network they are on; a context manager.

    `shared` maps directories on the hosts to directories of the machine, shown read-only. `disk_mb` is the room for what a host
    writes, held in memory as it is used. `hide` names more directories that start empty on the hosts (`/usr/local`, …).
    `systemd`: it is the first process, and starts Apache and sshd. `rtt`, `loss` (percent, each way): of the link between operator and hosts.
    """

    def __init__(self, count: int = 2, *, shared: Mapping[str, str | Path] | None = None, disk_mb: int = 4096, hide: Sequence[str] = (), systemd=False,
                 rtt: float = 0, loss: float = 0):
        self.id = secrets.token_hex(4)
        self.dir = BASE / f"{PREFIX}{self.id}"
        self.key, self.known_hosts, self.ssh_config = self.dir / "id_ed25519", self.dir / "known_hosts", self.dir / "ssh_config"
        self.hosts = [Host(self, number, disk_mb) for number in range(1, count + 1)]
        self._shared = {target: str(Path(source).resolve(strict=True)) for target, source in (shared or {}).items()}
        self._hide, self._systemd, self._rtt, self._loss = list(hide), systemd, rtt, loss
        self._link: subprocess.Popen | None = None
        self._owner = os.getpid()
        self._keeper: subprocess.Popen | None = None
        self._clients: list[subprocess.Popen] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "Fleet":
        self.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    def start(self) -> None:
        """Sweep what dead owners left, then boot every host. Raises FleetError, leaving nothing behind."""
        sweep()
        atexit.register(self.close)
        try:
            self._start_keeper()
            if self._rtt or self._loss:
                self._start_link()
            self._boot(self.hosts)
            self._write_ssh_config()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the hosts and everything in the operator's network; may be called twice, and does nothing in a forked child."""
        atexit.unregister(self.close)
        if os.getpid() != self._owner:
            return
        keeper, self._keeper = self._keeper, None
        if keeper:
            with contextlib.suppress(BrokenPipeError):
                print("null", file=keeper.stdin, flush=True)  # a closed pipe would not do: a forked child may hold it as well
                keeper.stdin.close()
            _end(keeper, KEEPER_SECONDS)
            keeper.stdout.close()
        for client in self._clients:
            _end(client, 0)
        for host in self.hosts:
            host.pid = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, argv, *, input=None, cwd=None, env=None, timeout=60, check=True) -> subprocess.CompletedProcess:
        """Run a command in the operator's network, with the machine's own files; `env` adds to the environment.

        Raises CalledProcessError with the command's own words when `check`, TimeoutExpired after killing it.
        """
        return _run(self._operate(argv), input, check, timeout, env=self._environment(env), cwd=cwd)

    def popen(self, argv, *, cwd=None, env=None, **options) -> subprocess.Popen:
        """Start a command in the operator's network, in a session of its own; it ends with the fleet at the latest."""
        client = subprocess.Popen(self._operate(argv), cwd=cwd, env=self._environment(env), start_new_session=True, **options)
        self._clients.append(client)
        return client

    def attach(self, argv) -> int:
        """Run a command in the operator's network on the caller's own terminal; returns its exit code."""
        return subprocess.call(self._operate(argv), env=self._environment(None))

    def enter_command(self, argv) -> str:
        """The words that run `argv` in the operator's network, to be pasted into a root shell."""
        return shlex.join(self._operate(argv))

    def _operate(self, argv) -> list[str]:
        return [*self._enter(), "-n", "--", *map(str, argv)]

    def _enter(self) -> list[str]:
        if not self._keeper:
            raise FleetError("the fleet is not running: use `with Fleet(...)`")
        return ["nsenter", "-t", str(self._keeper.pid)]

    def _environment(self, added) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return {**own, **(added or {}), MARK: self.id}

    def _start_keeper(self) -> None:
        self.dir.mkdir(mode=0o700, parents=True)
        write_owner(self.dir, self._owner, None)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.id, "-f", self.key], check=True, timeout=KEEPER_SECONDS)
        self._keeper = subprocess.Popen([sys.executable, "-E", "-S", "-m", "tests.system.hosts_init"], cwd=Path(__file__).parents[2], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        write_owner(self.dir, self._owner, self._keeper.pid)
        hosts = [{"name": host.name, "address": host.address, "mac": host.mac, "disk_mb": host.disk_mb} for host in self.hosts]
        self._say({"dir": str(self.dir), "owner": self._owner, "hosts": hosts, "shared": self._shared, "hide": self._hide, "systemd": self._systemd,
                   "public_key": self.key.with_suffix(".pub").read_text()})

    def _start_link(self) -> None:
        """Before any host: what they learn of the operator's address is the link's."""
        words = [sys.executable, "-E", "-S", "-m", "tests.system.slow_link", str(self._rtt), str(self._loss), "1"]
        self._link = self.popen(words, cwd=Path(__file__).parents[2], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._link.stdout.readline() != "ready\n":
            raise FleetError("the slow link does not start: it needs /dev/net/tun")

    def _boot(self, hosts: Sequence[Host]) -> None:
        pids = self._ask("boot", [host.name for host in hosts])
        for host in hosts:
            host._booted(pids[host.name])

    def _ask(self, verb: str, names: list[str]) -> dict:
        """Have the keeper do something. Raises FleetError with its reason, or when it has died."""
        with self._lock:
            self._enter()
            return self._say([verb, names])

    def _say(self, words) -> dict:
        try:
            print(json.dumps(words), file=self._keeper.stdin, flush=True)
        except BrokenPipeError:
            pass  # the keeper has ended; its last words, if any, are still to be read
        line = self._keeper.stdout.readline()
        answer = json.loads(line) if line else {"error": "the keeper of the fleet has died"}
        if "error" in answer:
            raise FleetError(answer["error"])
        return answer["ok"]

    def _write_ssh_config(self) -> None:
        """Write the files by which an ssh from anywhere in the operator's network knows, and is known to, the hosts."""
        lines, keys = [], []
        for host in self.hosts:
            lines += [f"Host {host.name}", f"  HostName {host.address}"]
            for kind in ("ed25519", "ecdsa"):
                keys.append(f"{host.name},{host.address} " + " ".join(host.read(f"/etc/ssh/ssh_host_{kind}_key.pub").split()[:2]))
        lines += ["Host *", "  User root", f"  IdentityFile {self.key}", "  IdentitiesOnly yes", "  IdentityAgent none", "  BatchMode yes",
                  f"  UserKnownHostsFile {self.known_hosts}", "  GlobalKnownHostsFile /dev/null", "  StrictHostKeyChecking yes", "  ConnectTimeout 5"]
        self.known_hosts.write_text("\n".join(keys) + "\n")
        self.ssh_config.write_text("\n".join(lines) + "\n")


def _run(argv, input=None, check=True, timeout=60, *, env=None, cwd=None) -> subprocess.CompletedProcess:
    """`subprocess.run` for texts, that ends the whole session on a timeout and shows the command's words on a failure."""
    process = subprocess.Popen(list(map(str, argv)), text=True, errors="replace", env=env, cwd=cwd, start_new_session=True,
                               stdin=subprocess.DEVNULL if input is None else subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            _end_session(process)
            raise
    done = subprocess.CompletedProcess(argv, process.returncode, out, err)
    if check and done.returncode:
        error = subprocess.CalledProcessError(done.returncode, argv, out, err)
        error.add_note(f"{out[-2000:]}{err[-2000:]}")
        raise error
    return done


def _end_session(process: subprocess.Popen) -> None:
    """Kill everything in the session of `process`, itself last: an nsenter that still lives collects its dead child,
    which the init of the machine might not do, and an uncollected process keeps a host from ending."""
    for pid in in_session(process.pid):
        if pid != process.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    _end(process, 0.5)


def _end(process: subprocess.Popen, patience: float) -> None:
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    from tests.system.hosts_cli import main

    sys.exit(main())
