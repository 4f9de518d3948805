"""A whole voyage for system tests: an operator's home, a project, a fleet, and `inv` and `fab` as a person types them."""

import atexit
import json
import os
import signal
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tool(name):
    """A console script of the environment that the tests run in."""
    path = Path(sys.executable).parent / name
    assert path.exists(), f"{name} is not beside {sys.executable}: run `make test`"
    return str(path)


class Voyage:
    """home: the operator's, with ~/.ssh/config for the fleet's addresses.  project: where inv and fab are typed."""

    released = None

    def __init__(self, home, fleet):
        self.home, self.fleet = Path(home), fleet
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        (self.home / ".ssh/config").write_text("".join(f"Host {h.name}\n  HostName {h.address}\n" for h in fleet.hosts))
        self.env = {"HOME": str(self.home), "NO_COLOR": "1", "PYTHONPATH": "", "USER": "tester",
                    "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.org", "GIT_COMMITTER_NAME": "Test",
                    "GIT_COMMITTER_EMAIL": "test@example.org",
                    "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")}
        self.project, self.prepared = None, False

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.project, check=True, capture_output=True, text=True,
                              env={**os.environ, **self.env}).stdout

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def new(self, name):
        """A project by `weft new`, for the fleet instead of this machine."""
        subprocess.run([tool("weft"), "new", name], cwd=self.home, check=True, capture_output=True, env={**os.environ, **self.env})
        self.project = self.home / name
        (self.project / "deploy/local.toml").unlink()
        return self._here()

    def _here(self):
        self.environment(contains='"version": "{version}"')
        self.commit("The fleet")
        return self.project

    def hello(self):
        """The project `hello` with its releases 0.1.0 and 0.2.0. The first voyage of this process makes them, each built in isolation; the next
        ones have a copy."""
        if not self.released:
            self.new("hello")
            self.release("0.1.0")
            self.change("src/hello/app.py", "This is ", "Newer! This is ", "Newer.")
            self.release("0.2.0")
            kept = tempfile.mkdtemp(prefix="weft-hello-")
            atexit.register(shutil.rmtree, kept, ignore_errors=True)
            Voyage.released = shutil.copytree(self.project, Path(kept) / "hello", symlinks=True)
            return self.project
        self.project = shutil.copytree(self.released, self.home / "hello", symlinks=True)
        return self._here()

    def environment(self, path="/health", contains="", aliases=(), watch=0.5, confirm=60):
        (self.project / "deploy").mkdir(exist_ok=True)
        hosts = json.dumps([h.name for h in self.fleet.hosts])
        (self.project / "deploy/production.toml").write_text(
            f'server = "mod_wsgi"\nhosts = {hosts}\nuser = "deploy"\nidentity = "{self.fleet.key}"\n'
            f"[site]\nhostname = \"app.example.org\"\naliases = {json.dumps(list(aliases))}\n[rollout]\nwatch = {watch}\nconfirm = {confirm}\n"
            f"[health]\npath = \"{path}\"\ncontains = '{contains}'\n")

    def inv(self, *words, check=True):
        done = subprocess.run([tool("inv"), *words], cwd=self.project, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, **self.env}, timeout=600)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def release(self, version):
        return self.inv("release", "--version", version, "--yes")

    def change(self, path, old, new, note):
        """Edit a file, write the changelog's entry, commit."""
        target = self.project / path
        text = target.read_text()
        assert old in text
        target.write_text(text.replace(old, new, 1))
        log = self.project / "CHANGELOG"
        said = log.read_text()
        at = said.index("## ")
        log.write_text(f"{said[:at]}## [Unreleased]\n\n- {note}\n\n{said[at:]}")
        self.commit(note)

    def fab(self, *words, code=0, timeout=180):
        """stdout and stderr of a fab command, typed on the operator's network; fails unless it ends with `code`."""
        done = self.fleet.run([tool("fab"), *words], cwd=self.project, env=self.env, check=False, timeout=timeout)
        output = done.stdout + done.stderr
        assert done.returncode == code, f"fab {' '.join(words)} -> {done.returncode}\n{output}"
        assert "a bug in weft" not in output and "/weft/rollout/" not in output, output
        return output

    def prepare(self):
        """Trust the hosts' keys and set them up."""
        self.fab("trust", "--yes")
        self.prepared = True
        return self.fab("setup", "--as", "root")

    def get(self, host, path="/health"):
        done = self.fleet.run(["curl", "-s", "-m", "10", "-H", "Host: app.example.org", f"http://{host.address}{path}"], check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout

    def versions(self, path="/health", key="version"):
        """What each host really answers."""
        answers = [self.get(host, path) for host in self.fleet.hosts]
        return [each.get(key) if isinstance(each, dict) else each for each in answers]

    def load(self, host, path, *words, seconds=300):
        """A load generator as a process on the operator's network."""
        env = {**self.env, "PYTHONPATH": str(ROOT / "src")}
        return self.fleet.popen([sys.executable, "-m", "weft.testing.load", f"http://{host.address}{path}", "--host-header", "app.example.org",
                                 "--seconds", str(seconds), "--json", *words], env=env, cwd=self.home, stdout=subprocess.PIPE, text=True)


def crossed(fleet):
    """Bytes through all cables since the fleet began, both ways."""
    links = json.loads(fleet.run(["ip", "-s", "-j", "link"]).stdout)
    names = {host.name for host in fleet.hosts}
    return sum(link["stats64"][way]["bytes"] for link in links if link["ifname"] in names for way in ("rx", "tx"))


def finish(load):
    """End a load; its report."""
    load.send_signal(signal.SIGTERM)
    output = load.communicate(timeout=120)[0]
    return json.loads(output.splitlines()[-1])


def wait_for(what, seconds, message):
    """Until what() is true; fails with the message, which may be a function that makes it."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, message() if callable(message) else message
        time.sleep(0.1)


def clean_copy(source, target):
    """A directory tree without what a version control system keeps."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".git", "__pycache__"), dirs_exist_ok=True)
