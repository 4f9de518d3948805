"""A small fleet on loopback for tests: one real sshd, a fake engine a host, a project with releases in a store.

Every host is an address of its own (127.0.0.2 and on) of the same sshd; the engine's state lies in a directory a host.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any, Iterator

import weft
from weft.stores import open_store
from weft.testing.fake_engine import FakeEngine
from weft.values import Artifact, Release, Version

SSHD = "/usr/sbin/sshd"
APP = "shop"


class Sshd:
    """A real sshd with keys and a configuration of its own. place: a directory that only this fleet uses."""

    def __init__(self, place: Path):
        self.place, self.port = place, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("host_key", "client_key"):
            keygen(place / name)
        shutil.copyfile(place / "client_key.pub", place / "authorized_keys")
        (place / "sshd_config").write_text("\n".join([
            f"Port {self.port}", "ListenAddress 0.0.0.0", f"HostKey {place}/host_key", f"PidFile {place}/sshd.pid",
            f"AuthorizedKeysFile {place}/authorized_keys", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
            "PermitRootLogin yes", "AllowTcpForwarding yes", "MaxStartups 100", "LogLevel ERROR", ""]))

    def start(self) -> None:
        """Returns when it answers."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(self.place / "sshd_config")],
                                        stderr=(self.place / "sshd.log").open("ab"))
        self._until(True, "it does not answer")

    def _until(self, answers: bool, otherwise: str) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as probe:
                if (probe.connect_ex(("127.0.0.1", self.port)) == 0) == answers:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"sshd: {otherwise}: {(self.place / 'sshd.log').read_text()}")

    def stop(self) -> None:
        """End it; connections that are open live on until they end. Returns when nobody listens any more: the child for a
        connection that was just made has the listener's socket, too, for a moment."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
            self._until(False, "nobody ended it, or somebody else has its port")

    def known(self, *addresses: str) -> str:
        """known_hosts lines with the real key."""
        kind, key, *_ = (self.place / "host_key.pub").read_text().split()
        return "".join(f"[{address}]:{self.port} {kind} {key}\n" for address in addresses)

    def new_host_key(self) -> None:
        """What a reinstalled host, or somebody in between, shows; the sshd is started again."""
        self.stop()
        for name in ("host_key", "host_key.pub"):
            (self.place / name).unlink()
        keygen(self.place / "host_key")
        self.start()


@contextlib.contextmanager
def short_spoken(address: str, port: int) -> Iterator[None]:
    """An SSH server that gives its name to whoever comes first, and goes away."""
    def answer() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.sendall(b"SSH-2.0-short\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    with socket.create_server((address, port)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        yield


class Fleet:
    """`count` hosts web1, web2, … in the project `root`, which has versions 1.0, 1.1 and 2.0 in its store.

    big: bytes of one more dependency of each.  ssh: whether there is an sshd, to be started by `sshd.start()`.
    """

    def __init__(self, place: Path, count: int = 2, big: int = 0, ssh: bool = True):
        self.place, self.root = place, place / "project"
        self.sshd = Sshd(make(place / "ssh")) if ssh else None
        self.hosts = {f"web{n}": f"127.0.0.{n + 1}" for n in range(1, count + 1)}
        self._engine()
        self._project(big)
        self.fresh()
        self.configure()

    def _engine(self) -> None:
        source = Path(weft.__file__).parents[1]
        self.program, self.command = self.place / "engine.py", self.place / "weft-host"
        self.program.write_text(f"import sys\nsys.path.insert(0, {str(source)!r})\n"
                                "from weft.testing.fake_engine import main\nsys.exit(main(sys.argv))\n")
        self.command.write_text(f'#!/bin/sh\nset -- $SSH_CONNECTION\nexec {sys.executable} -S {self.program} '
                                f'--prefix "{self.place}/hosts/$3"\n')
        self.command.chmod(0o755)

    def engine(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask a host's engine in this process: its result. Raises what it answers."""
        said = {"protocol": 1, "app": APP, "by": "test@here", "site": {"confirm": 60}, **request}
        return FakeEngine(self.prefix(name), BytesIO(json.dumps(said).encode() + b"\n"), lambda event: None).run()

    def _project(self, big: int) -> None:
        make(self.root / "deploy")
        (self.root / "pyproject.toml").write_text(
            f'[tool.weft]\nname = "{APP}"\ncallable = "shop:application"\nartifacts = "store"\n')
        (self.root / "fabfile.py").write_text("from weft.tasks.deploy import ns\n")
        for version in ("1.0", "1.1", "2.0"):
            publish(self.root / "store", version, big)
        if self.sshd:
            self._ssh_files()

    def _ssh_files(self) -> None:
        (self.root / "deploy" / "known_hosts").write_text(self.sshd.known(*self.hosts.values()))
        (self.place / "ssh_config").write_text("".join(
            f"Host {name}\n  HostName {address}\n  Port {self.sshd.port}\n" for name, address in self.hosts.items()))

    def configure(self, more: str = "", confirm: int = 60) -> None:
        """Write deploy/production.toml."""
        identity = f'identity = "{self.place}/ssh/client_key"\n' if self.sshd else ""
        (self.root / "deploy" / "production.toml").write_text(
            f'hosts = {json.dumps(list(self.hosts))}\nuser = "{getpass.getuser()}"\n{identity}connect_timeout = 5\n'
            f"[rollout]\nconfirm = {confirm}\nwatch = 0\n{more}\n")

    def prefix(self, name: str) -> Path:
        """Where a host's engine keeps its state."""
        return self.place / "hosts" / self.hosts[name]

    def fresh(self, version: str = "") -> None:
        """All hosts as they were at the beginning: set up, with nothing deployed, or with that version."""
        for name in self.hosts:
            shutil.rmtree(self.prefix(name), ignore_errors=True)
            self.engine(name, {"verb": "setup", "deploy_user": "", "authorized_key": ""})
            if version:
                self._bring(name, version)

    def _bring(self, name: str, version: str) -> None:
        store = open_store("store", self.root)
        release = store.manifest(APP, version)
        for artifact in release.for_host():
            with store.open(APP, version, artifact) as file:
                (self.prefix(name) / "files" / artifact.sha256).write_bytes(file.read())
        wish = {"verb": "stage", "release": release.to_json(), "base": 0, "files": []}
        number = self.engine(name, wish)["generation"]
        self.engine(name, {"verb": "activate", "generation": number, "base": 0})
        self.engine(name, {"verb": "confirm", "generation": number})

    def order(self, name: str, *orders: dict[str, Any]) -> None:
        """Failures of one host, in that order; see weft.testing.fake_engine."""
        (self.prefix(name) / "orders.json").write_text(json.dumps(orders))

    def serves(self, name: str) -> str:
        """The version that a host's engine serves now, "" for none."""
        return self.engine(name, {"verb": "observe"})["state"]["answers"]["version"]

    def log(self, name: str) -> list[list[Any]]:
        """The requests that a host has answered: verb, begin, end."""
        return [json.loads(line) for line in (self.prefix(name) / "log").read_text().splitlines()]


def publish(store: Path, version: str, big: int = 0, safe: bool = True) -> Release:
    """A release with real bytes in a directory store. big: bytes of one more dependency.  safe: its rollback_safe."""
    place = make(store.parent / f"files-{version}")
    content = {f"{APP}-{version}.tar.gz": ("sdist", b"sdist " + version.encode()),
               f"{APP}-{version}-py3-none-any.whl": ("wheel", b"wheel " + version.encode()),
               "wheelhouse/dep-1-py3-none-any.whl": ("dependency", b"dependency"),
               "pip-24.0-py3-none-any.whl": ("installer", b"pip")}
    if big:
        content["wheelhouse/big-1-py3-none-any.whl"] = ("dependency", os.urandom(big))
    files, artifacts = {}, []
    for name, (kind, payload) in content.items():
        files[name] = place / name.replace("/", "-")
        files[name].write_bytes(payload)
        artifacts.append(Artifact(name, kind, len(payload), hashlib.sha256(payload).hexdigest()))
    release = Release(APP, Version(version), "0" * 40, version, "2026-01-01T00:00:00Z", "3.11", tuple(artifacts),
                      callable="shop:application", format=2 if safe else 3, rollback_safe=safe)
    target = open_store(str(store), store)
    staged = target.staging(APP, version)
    target.stage(staged, release, files)
    target.publish(staged, APP, version)
    shutil.rmtree(place)
    return release


def keygen(path: Path) -> None:
    """An ed25519 key pair without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
