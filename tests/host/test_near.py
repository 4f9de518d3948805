"""A host that reads the artifact store itself: a directory that it sees, or a web server."""

import functools
import http.server
import threading

import pytest

from tests.host.light_host import make_release, put, serving
from tests.host.test_source import Quiet
from weft.config.keys import ENVIRONMENT
from weft.servers import readable_by_hosts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host():
    with serving() as host:
        host.keep("set up")
        yield host


@pytest.fixture
def deploy(host, tmp_path):
    """deploy(artifacts, release, content): stages as the operator does, and says which digests came over the connection, which were taken, and what was told."""
    host.restore("set up")
    before = dict(host.site)

    def deploy(artifacts, release, content):
        host.site["artifacts"] = artifacts
        done = host.ask("observe", release=release.to_json())
        seen = done["last"]["result"]
        far = [digest for digest in seen["missing"] if digest not in seen["near"]]
        staged = host.ask("stage", [content[d] for d in far], release=release.to_json(), base=host.live(), files=[{"sha256": d, "size": len(content[d])} for d in far])
        return far, seen["near"], [each["text"] for each in done["events"] if each["event"] == "log"], staged
    yield deploy
    host.site.clear()
    host.site.update(before)


@pytest.fixture
def web(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["directory", "web"])
def test_nothing_comes_over_the_connection_where_the_host_reads_the_store(deploy, host, tmp_path, web, kind):
    release, content = make_release("1.0", dependency="3.1")
    put(tmp_path, release, content)
    far, near, told, staged = deploy(str(tmp_path) if kind == "directory" else web, release, content)
    assert (far, sorted(near), told) == ([], sorted(content), []) and staged["code"] == 0, staged
    assert host.ok("observe", release=release.to_json())["missing"] == [] and host.faults() == []


def test_what_is_not_there_comes_over_the_connection_and_is_told(deploy, tmp_path):
    release, content = make_release("1.0", dependency="3.1")
    place = put(tmp_path, release, content)
    (place / "dep-3.1-py3-none-any.whl").unlink()
    far, near, told, staged = deploy(str(tmp_path), release, content)
    assert far == [a.sha256 for a in release.of_kind("dependency")] and len(near) == 3 and staged["code"] == 0
    assert told == [f"not all can be taken from the artifact store here: {place} has not dep-3.1-py3-none-any.whl"]


@pytest.mark.parametrize("place, said", [("/nowhere/artifacts", "there is no release in /nowhere/artifacts"), ("http://127.0.0.1:1", "http://127.0.0.1:1/manifest.json cannot be read: [Errno 111] Connection refused")])
def test_a_store_that_is_away_costs_nothing_but_the_way(deploy, place, said):
    release, content = make_release("1.0")
    far, near, told, staged = deploy(place, release, content)
    assert (len(far), near) == (3, []) and told == [f"not all can be taken from the artifact store here: {said}"] and staged["code"] == 0


def test_another_release_of_that_version_is_not_taken(deploy, tmp_path):
    release, content = make_release("1.0")
    place = put(tmp_path, *make_release("1.0", "blue"))
    far, near, told, staged = deploy(str(tmp_path), release, content)
    assert (len(far), near) == (3, []) and told == [f"not all can be taken from the artifact store here: {place} has another shop 1.0 than the one that is deployed"]
    assert staged["code"] == 0


@pytest.mark.parametrize("bad", [b"shop 9.9", b"short", None])
def test_a_file_that_is_not_the_manifests_is_refused_and_nothing_is_served_of_it(deploy, host, tmp_path, bad):
    """The store changes after the host has looked."""
    release, content = make_release("1.0")
    place = put(tmp_path, release, content)
    host.site["artifacts"] = str(tmp_path)
    near = host.ok("observe", release=release.to_json())["near"]
    assert len(near) == 3
    wheel = place / release.of_kind("wheel")[0].name
    wheel.unlink()
    if bad is not None:
        wheel.write_bytes(bad)
    done = host.ask("stage", [], release=release.to_json(), base=host.live(), files=[])
    assert done["code"] == 4, done
    message = done["last"]["error"]["message"]
    assert ("the manifest names it" in message) if bad is None else ("its sha256 differs" in message or "before the end of a file" in message)
    assert host.live() == 0 and host.faults() == []


def test_without_the_key_nothing_is_said_of_near(host):
    host.restore("set up")
    release, _content = make_release("1.0")
    assert "near" not in host.ok("observe", release=release.to_json())


@pytest.mark.parametrize("place, may", [("", True), ("/srv/artifacts", True), ("https://a.example.org:8443/store", True), ("http://10.0.0.1", True), ("artifacts", False), ("s3://bucket", False),
                                        ("https://me:secret@a.example.org", False), ("file:///srv/a", False), ("/srv/a b", False), ("/srv/a\n", False)])
def test_the_places_that_a_host_may_read(place, may):
    assert readable_by_hosts(place) is may
    assert next(key for key in ENVIRONMENT if key.name == "host_artifacts").default == ""
