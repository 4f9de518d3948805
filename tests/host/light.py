"""A server that costs nothing, for tests that need thousands of switches: one parent, a real process for each slot that leaves the
marks that weft's entry leaves, three ports, and the routing by what `live` points at. `python` here is a shell script that does of
virtualenv, pip and compileall what can be seen on disk. What these tests find is shown on a real Apache with a real pip elsewhere.
"""

import json
import os
import pwd
import signal
import socket
import sys
import time
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

from weft import servers

PYTHON = r"""#!/bin/sh
# python for tests: makes in milliseconds what a virtualenv, pip and compileall leave on disk.
case "$*" in
  *" -V") echo "Python 3.11.0" ;;
  *"runpy.run_path("*)  # the import check: it wants to read at the end what it has put in after its line break
    proof="${*##*os.write(1, b\'\\n}"; printf '\n%s' "${proof%%\'*}" ;;
  *"os.execvpe("*) exec /usr/bin/python3 "$@" ;;  # a command in the application's environment
  *"-m venv"*)
    for last; do :; done
    mkdir -p "$last/bin" "$last/lib/python3.11/site-packages"
    ln -s "$(readlink -f "$0")" "$last/bin/python"; echo "home = /" > "$last/pyvenv.cfg" ;;
  *"-m compileall"*)
    for last; do :; done
    for each in "$last"/*/*.py "$last"/*/site-packages/*/*.py; do [ ! -f "$each" ] || echo byte code > "${each}c"; done ;;
  *"/pip install "*)
    case "$*" in *"weft: ready"*) echo "weft: ready"; read -r _end ;; esac  # the first run, which is to wait
    target="${0%/*}/../lib/python3.11/site-packages"; list=
    while [ $# -gt 0 ]; do
      case "$1" in --target) target="$2"; shift ;; -r) list="$2"; shift ;; esac
      shift
    done
    while read -r wheel _hash; do
      name="${wheel##*/}"; project="${name%%-*}"; rest="${name#*-}"; version="${rest%%-*}"
      mkdir -p "$target/$project" "$target/$project-$version.dist-info"
      echo "VERSION = \"$version\"" > "$target/$project/__init__.py"
      echo "VERSION = \"$version\"" > "$target/$project/lazy.py"
      echo "$name" > "$target/$project-$version.dist-info/RECORD"
    done < "$list" ;;
esac
"""


class Light(servers.Server):
    """The adapter; the test starts and ends the server itself and writes its pid where this says."""

    name = "light"

    def files(self, site):
        return {**servers.entry_file(site), f"{site.prefix}/etc/light.conf": f"{site.hostname} {site.processes} {site.threads}\n"}

    def links(self, site):
        return {f"{site.prefix}/etc/light.link": "light.conf"}

    def check(self, site):
        return ["/bin/true"]

    start = reload = check

    def stop(self, site):
        return ["/bin/rm", "-f", self.pidfile(site)]

    def pidfile(self, site):
        return f"{site.prefix}/var/run/light.pid"

    def python(self, site):
        return "3.11"

    def error_log(self, site, slot="a"):
        return f"{site.prefix}/var/log/light.log"

    def missing(self, site):
        return []


def register():
    """Make it known to weft in this process."""
    module = types.ModuleType("weft.servers.light")
    module.__spec__, module.server = ModuleSpec(module.__name__, None), Light()
    sys.modules[module.__name__] = module


class Server:
    """Parent of the slots' processes. `ports`: the site's, then the doors."""

    def __init__(self, root, ports, uid):
        self.root, self.uid = Path(root), uid
        self.listening = [socket.create_server(("127.0.0.1", port), backlog=64) for port in ports]
        self.slots = {}

    def serve(self):
        import select
        while True:
            ready = select.select(self.listening, [], [], 0.005)[0]
            self.tend()
            for each in ready:
                connection = each.accept()[0]
                with connection:
                    connection.settimeout(10)
                    try:
                        self.answer(connection, self.listening.index(each))
                    except OSError:
                        pass

    def tend(self):
        """A process for each slot that can be loaded from; one that has ended is followed by another."""
        for slot, child in list(self.slots.items()):
            if os.waitpid(child["pid"], os.WNOHANG)[0]:
                child["pipe"].close()
                del self.slots[slot]
        for slot in "ab":
            if slot not in self.slots and os.path.exists(self.root / "slots" / slot / "generation/record.json"):
                self.start(slot)

    def start(self, slot):
        reads, writes = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.close(reads)
                self.child(slot, writes)
            finally:
                os._exit(1)
        os.close(writes)
        self.slots[slot] = {"pid": pid, "pipe": os.fdopen(reads), "said": None}

    def child(self, slot, writes):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        parent = os.getppid()
        generation = os.path.realpath(self.root / "slots" / slot / "generation")
        said = {"generation": int(os.path.basename(generation)), "at": 0, "text": ""}
        if self.uid:
            os.setgroups([])
            os.setgid(pwd.getpwuid(self.uid).pw_gid)
            os.setresuid(self.uid, self.uid, self.uid)
        try:
            said = {**said, "state": "ready", **load(generation)}
        except Exception as error:
            said = {**said, "state": "failed", "text": f"{type(error).__name__}: {error}", "release": ""}
        path = self.root / "run" / slot / str(os.getpid())
        with open(f"{path}.tmp", "w") as handle:
            json.dump(said, handle)
        os.rename(f"{path}.tmp", path)
        os.write(writes, json.dumps(said).encode() + b"\n")
        while os.getppid() == parent:
            time.sleep(1)

    def said(self, slot):
        child = self.slots.get(slot)
        if child and child["said"] is None:
            child["said"] = json.loads(child["pipe"].readline() or "{}")
        return child and child["said"]

    def answer(self, connection, which):
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096) or b"\r\n\r\n"
        if request.startswith(b"GET /-/restart "):
            for child in self.slots.values():
                os.kill(child["pid"], signal.SIGKILL)
                os.waitpid(child["pid"], 0)
                child["pipe"].close()
            self.slots = {}
            self.tend()
            return connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        if not os.path.islink(self.root.parents[2] / "etc/light.link"):
            return connection.sendall(page({}))  # its configuration has no such site
        slot = "ab"[which - 1] if which else "b" if os.path.exists(self.root / "live/is-slot-b") else "a"
        connection.sendall(page(self.said(slot) or {}))


def load(generation):
    """What a process of the application takes into its memory."""
    record = json.loads(Path(generation, "record.json").read_text())
    release = os.path.realpath(os.path.join(generation, "release"))
    entry = json.loads(Path(release, "entry.json").read_text())
    if "entry" in entry:
        return {"release": record["release"], "version": ""}
    packages = f"{release}/venv/lib/python3.11/site-packages/shop"
    settings = Path(generation, "settings.ini").read_text() if os.path.exists(f"{generation}/settings.ini") else ""
    return {"release": record["release"], "version": Path(packages, "__init__.py").read_text().split('"')[1], "packages": packages, "settings": settings}


def page(said):
    status = "500 Oops" if not said.get("release") else "503 Placeholder" if not said.get("version") else "200 OK"
    body = {key: said.get(key, "") for key in ("version", "release", "settings", "generation", "text")}
    if said.get("packages"):
        try:
            body["lazy_version"] = Path(said["packages"], "lazy.py").read_text().split('"')[1]
        except (OSError, IndexError) as error:
            status, body["text"] = "500 Oops", str(error)
    payload = json.dumps(body).encode()
    head = f"HTTP/1.0 {status}\r\nContent-Length: {len(payload)}\r\nX-Weft-Release: {said.get('release', '')}\r\n\r\n"
    return head.encode() + payload


if __name__ == "__main__":
    Server(sys.argv[1], [int(port) for port in sys.argv[2].split(",")], int(sys.argv[3])).serve()
