"""A release for several Pythons, and wheels that the store has not, all the way to a real engine: `fab deploy` on hosts under prefixes.

The host's Python is the distribution's. The other Pythons are ones that no machine has.
"""

import hashlib
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import factory
from tests.host.bench_host import PYTHON, HostUnderPrefix, missing
from tests.release.index import serving, wheel
from tests.signers import make_key
from weft import durable
from weft.release import tools
from weft.stores.directory import DirectoryStore

pytestmark = pytest.mark.slow
APP = '''
from @PACKAGE@ import __version__


def application(environ, start_response):
    try:
        from @DEPENDENCY@ import __version__ as other
    except ImportError:
        other = "none"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"@NAME@ {__version__} with {other}\\n".encode()]
'''


class Field:
    """A project with a fabfile, an index, and hosts that are environments of it."""

    def __init__(self, folder: Path, index, dependency: str):
        self.index, self.hosts = index, {}
        self.made = factory.make_project(folder / "project", requires=(dependency,), application=APP.replace("@DEPENDENCY@", dependency))
        self.made.write("fabfile.py", "from weft.tasks.deploy import ns\n")
        self.env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "120", "XDG_STATE_HOME": str(folder / "state")}

    def host(self, name):
        made = self.hosts[name] = HostUnderPrefix()
        doors = ", ".join(map(str, made.site["doors"]))
        self.made.write(f"deploy/{name}.toml", f'transport = "local"\nserver = "express"\nprefix = "{made.prefix}"\nhosts = ["{name}"]\n'
                        f'python = "{PYTHON}"\n[site]\nport = {made.port}\ndoors = [{doors}]\nhostname = "shop.test"\n[rollout]\nwatch = 0.1\n'
                        '[health]\ncontains = "weaveserver {version}"\n')
        self.made.commit(name)
        return made

    def release(self, version, pythons, more=""):
        """Its manifest."""
        path = self.made.root / "pyproject.toml"
        kept = [line for line in path.read_text().splitlines() if not line.startswith(("python = ", "vendor = ", "signing_key = "))]
        said = ", ".join(f'"{each}"' for each in pythons)
        path.write_text("\n".join([*kept, f"python = [{said}]", more]) + "\n")
        self.made.commit(f"for {said}")
        if f"## {version}" not in (self.made.root / "CHANGELOG.md").read_text():
            self.made.changelog(version)
        factory.run_release(self.made, version)
        return DirectoryStore(self.made.store).manifest("weaveserver", version)

    def fab(self, *words, env=""):
        """(exit code, all that was said)."""
        done = subprocess.run([sys.executable, "-m", "fabric", *words, *(["--env", env] if env else [])], cwd=self.made.root, env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=300)
        assert "\nTraceback" not in "\n" + done.stdout, done.stdout
        return done.returncode, done.stdout

    def ok(self, *words, env=""):
        code, said = self.fab(*words, env=env)
        assert code == 0, said
        return said

    def close(self):
        for host in self.hosts.values():
            host.close()


def served(host):
    request = urllib.request.Request(f"http://127.0.0.1:{host.port}/", headers={"Host": "shop.test"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode().strip()


def has(host):
    """The sha256 of every file below the host's prefix."""
    return {durable.sha256(path) for path in host.prefix.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture(scope="module")
def mine():
    """The Python of the hosts here, such as 3.11."""
    if missing():
        pytest.skip(missing())
    say = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([PYTHON, "-c", say], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def field(tmp_path, monkeypatch, mine):
    """field(dependency)"""
    made = []
    with serving(tmp_path, monkeypatch) as index:
        def field(dependency):
            made.append(Field(tmp_path, index, dependency))
            return made[-1]
        yield field
        for each in made:
            each.close()


def test_a_host_takes_its_own_part_and_one_of_another_python_is_refused(field, mine, tmp_path):
    field, (later, latest) = field("loom"), (f"3.{int(mine[2:]) + 40}", f"3.{int(mine[2:]) + 41}")
    field.index.put("loom", *wheel("loom", "2.0", f"Requires-Python: >={later}\nRequires-Dist: heald\n"))
    field.index.put("heald", *wheel("heald", "1.0"))
    host = field.host("here")
    release = field.release("1.1.4", [mine, later])
    own, others = ({a.sha256: a.basename for a in release.part(python).dependencies} for python in (mine, later))
    assert sorted(own.values()) == ["loom-1.0-py3-none-any.whl"]
    assert sorted(others.values()) == ["heald-1.0-py3-none-any.whl", "loom-2.0-py3-none-any.whl"]
    field.ok("setup")
    field.ok("deploy", "--version", "1.1.4")
    assert served(host) == "weaveserver 1.1.4 with 1.0"
    there = has(host)
    assert set(own) <= there and not set(others) & there, "the other Python's wheels were sent"
    assert "here: 1.1.4, nothing to do" in field.ok("deploy", "--version", "1.1.4")

    field.release("1.1.5", [later, latest])
    for words in (("plan", "--version", "1.1.5"), ("deploy", "--version", "1.1.5")):
        code, said = field.fab(*words)
        assert code == 3 and f"here: weaveserver 1.1.5 was built for Python {later} and {latest}, the host's is {mine}" in said, said
        assert f'release it with [tool.weft] python = ["{mine}", "{later}", "{latest}"]' in said, said
    assert served(host) == "weaveserver 1.1.4 with 1.0" and has(host) & set(others) == set()

    # The same host, told whom to believe: a signature is over the whole manifest, the host installs its part of it.
    key = make_key(tmp_path)
    field.made.write("deploy/allowed_signers", key.allowed())
    signed = field.release("1.1.6", [mine, later], f'signing_key = "{key.path}"')
    assert "allowed_signers (1 allowed signers)" in field.ok("setup")
    code, said = field.fab("deploy", "--version", "1.1.4")
    assert code == 3 and "is not trusted: it is not signed" in said, said
    field.ok("deploy", "--version", "1.1.6")
    assert served(host) == "weaveserver 1.1.6 with 1.0" and signed.pythons == (mine, later)
    assert not set(others) & has(host)
    assert "parts are as they were installed" in field.ok("verify")


def test_a_wheel_that_the_store_has_not_is_fetched_by_its_hash(field, mine):
    field = field("reed")
    name, right = wheel("reed", "1.0")
    field.index.put("reed", name, right)
    here, there = field.host("here"), field.host("there")
    release = field.release("1.1.4", [mine], 'vendor = "none"')
    assert [a.basename for a in release.unvendored] == [name] and not list(field.made.store.rglob("reed*"))
    for env in ("here", "there"):
        field.ok("setup", env=env)

    _, evil = wheel("reed", "1.0", "Summary: evil\n")
    field.index.put("reed", name, evil)
    code, said = field.fab("deploy", "--version", "1.1.4", env="here")
    assert code == 3 and f"{name}: not in the store, and not to be had from the index: ERROR: " in said and "HASHES" in said, said
    assert "now:  nothing changed; no release is served on here" in said, said
    wrong = {hashlib.sha256(raw).hexdigest() for raw in (right, evil)}
    assert not wrong & has(here) and not list((tools.cache() / "wheels").iterdir()), "nothing of it stays anywhere"
    assert [path.name for path in (here.prefix / "var/app/weaveserver/releases").iterdir()] == ["placeholder"], "something was installed"

    field.index.put("reed", name, right)
    said = field.ok("deploy", "--version", "1.1.4", env="here")
    assert "fetching 1 wheel that the store has not, by hash" in said
    assert served(here) == "weaveserver 1.1.4 with 1.0" and release.unvendored[0].sha256 in has(here)

    field.index.close()
    field.ok("deploy", "--version", "1.1.4", env="there")
    assert served(there) == "weaveserver 1.1.4 with 1.0", "from the operator's cache"
