"""`inv release` into stores that are not a directory, and what a deploy reads from them."""

import hashlib
import os
import subprocess
import sys

import pytest

from tests.stores import servers
from weft.rollout.payload import Payload
from weft.stores import open_store

pytestmark = pytest.mark.slow


@pytest.fixture
def inv(project, tmp_path):
    """A function that runs inv in a project whose store is `url`."""
    project.write("tasks.py", "from weft.tasks.release import ns\n")

    def run(url, *words):
        text = (project.root / "pyproject.toml").read_text()
        if url not in text:
            project.write("pyproject.toml", text.replace(f'"{project.store}"', f'"{url}"'))
            project.commit("another store")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-m", "invoke", *words], cwd=project.root, env=env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL)
        assert "\nTraceback" not in "\n" + done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


def voyage(inv, project, url):
    code, out, err = inv(url, "release", "--version", "1.1.4", "--yes")
    assert code == 0, err
    assert out.splitlines()[-3:] == ["weaveserver 1.1.4 is released", f"lies:  {url}/weaveserver/1.1.4", "next:  fab deploy --version 1.1.4"]
    code, out, err = inv(url, "release", "--version", "1.1.4", "--yes")
    assert (code, out.splitlines()[0]) == (0, "weaveserver 1.1.4 is released already"), err
    payload = Payload(open_store(url, project.root), "weaveserver", "1.1.4")
    payload.verify()
    wanted = {each.sha256: each for each in payload.release.for_host()}
    announced = payload.announce(wanted)
    assert [each["sha256"] for each in announced] == list(wanted)
    for said, file in zip(announced, payload.streams(wanted), strict=True):
        with file:
            assert hashlib.sha256(file.read()).hexdigest() == said["sha256"]
    assert open_store(url, project.root).sweep("weaveserver", 0.0) == [], "nothing is left over"


def test_s3(inv, project, monkeypatch):
    with servers.s3(monkeypatch):
        voyage(inv, project, "s3://artifacts/team")


def test_sftp(inv, project, tmp_path, monkeypatch):
    with servers.sftp(tmp_path, monkeypatch):
        voyage(inv, project, f"sftp://artifacts{tmp_path}/store")


def test_a_server_that_is_away_refuses_and_changes_nothing(inv, project, tmp_path, monkeypatch):
    with servers.sftp(tmp_path, monkeypatch) as server:
        server.stop()
        head = project.head()
        code, out, err = inv(f"sftp://artifacts{tmp_path}/store", "release", "--version", "1.1.4", "--yes")
    assert code == 3 and f"sftp://artifacts{tmp_path}/store: " in err and "nothing changed" in err, err
    assert "1.1.4" not in project.tags() and project.git("rev-parse", "HEAD^") == head


def test_a_web_server_before_the_directory_is_deployed_from(inv, project, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert inv(str(project.store), "release", "--version", "1.1.4", "--yes")[0] == 0
    with servers.web(project.store) as server:
        store = open_store(server.url, project.root)
        Payload(store, "weaveserver", "1.1.4").verify()
        assert store.index("weaveserver") == open_store(str(project.store), project.root).index("weaveserver")
        code, out, err = inv(server.url, "release", "--version", "1.1.5", "--yes")
    assert code == 3 and f"cannot take a release: {server.url} is read-only" in err


def test_a_server_that_goes_away_after_the_push(inv, project, tmp_path, monkeypatch):
    """Past the point of no return: what is where is said, and the same command finishes it."""
    url = f"sftp://artifacts{tmp_path}/store"
    with servers.sftp(tmp_path, monkeypatch) as server:
        assert inv(url, "status")[0] == 0
        hook = project.remote / "hooks" / "post-receive"
        hook.write_text(f"#!/bin/sh\nkill -9 $(cat /proc/{server.process.pid}/task/{server.process.pid}/children) {server.process.pid}\n")
        hook.chmod(0o755)
        code, out, err = inv(url, "release", "--version", "1.1.4", "--yes")
        assert code == 5, (out, err)
        assert "publish: " in err and f"the tag 1.1.4 on origin is there; whether {url} has 1.1.4 cannot be seen now" in err
        assert "inv release --version 1.1.4 finishes it" in err
        assert "nothing changed" not in err
        hook.unlink()
        server.process.wait()
        server.start()
        assert open_store(url, project.root).versions("weaveserver") == []
        voyage(inv, project, url)
