"""A package index as a further target: real pypiserver and devpi-server, in a virtualenv of their own."""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from dataclasses import dataclass

import pytest

from tests import factory
from tests.release.index import wheel
from weft.errors import FailedUndone, NeedsHands, Refused, UsageError
from weft.release import simple, upload
from weft.stores.directory import DirectoryStore

pytestmark = pytest.mark.usefixtures("warm")
PASSWORD = "swordfish-4711"
_NUMBERS = itertools.count(1)


@dataclass
class Server:
    """repository: what twine uploads to.  pages: its simple pages."""

    repository: str
    pages: str

    def has(self):
        return {name: simple.sha256(address) for name, address in simple.files(self.pages, "weaveserver", "1.1.4").items()}


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """The directory with the programs of both servers."""
    place = tmp_path_factory.mktemp("servers") / "venv"
    venv.create(place, with_pip=True)
    uv = shutil.which("uv")
    words = [uv, "pip", "install", "-q", "--python", place / "bin/python"] if uv else [place / "bin/pip", "install", "-q"]
    done = subprocess.run([*words, "pypiserver[passlib]", "devpi-server"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("pypiserver and devpi-server cannot be had from a package index; see that one can be reached")
    return place / "bin"


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


@contextlib.contextmanager
def running(words, url, log):
    with open(log, "w") as out:
        child = subprocess.Popen(list(map(str, words)), stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 60
        while True:
            assert child.poll() is None and time.monotonic() < end, log.read_text()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=2).close()
                break
            time.sleep(0.1)
        yield
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture
def pypiserver(servers, tmp_path):
    (tmp_path / "packages").mkdir()
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    (tmp_path / "htpasswd").write_text(f"alice:{{SHA}}{digest}\n")
    url = f"http://127.0.0.1:{(port := free_port())}/"
    words = [servers / "pypi-server", "run", "-i", "127.0.0.1", "-p", port, "-P", tmp_path / "htpasswd", "-a", "update", tmp_path / "packages"]
    with running(words, url, tmp_path / "pypiserver.log"):
        yield Server(url, url + "simple")


@pytest.fixture(scope="session")
def devpi_server(servers, tmp_path_factory):
    """make(name): a new index of alice's. One server for all tests, which takes long to start."""
    place = tmp_path_factory.mktemp("devpi")
    subprocess.run([servers / "devpi-init", "--serverdir", place / "devpi", "--no-root-pypi"], check=True, capture_output=True)
    url = f"http://127.0.0.1:{(port := free_port())}"
    with running([servers / "devpi-server", "--serverdir", place / "devpi", "--host", "127.0.0.1", "--port", port], url + "/+api", place / "devpi.log"):
        def ask(method, path, said, token=""):
            headers = {"Content-Type": "application/json", "Accept": "application/json", "X-Devpi-Auth": token}
            request = urllib.request.Request(url + path, json.dumps(said).encode(), {k: v for k, v in headers.items() if v}, method=method)
            return json.load(urllib.request.urlopen(request, timeout=30))
        ask("PUT", "/alice", {"password": PASSWORD, "email": "alice@example.org"})
        key = ask("POST", "/+login", {"user": "alice", "password": PASSWORD})["result"]["password"]

        def make(name):
            ask("PUT", f"/alice/{name}", {"bases": [], "volatile": False}, base64.b64encode(f"alice:{key}".encode()).decode())
            return Server(f"{url}/alice/{name}/", f"{url}/alice/{name}/+simple")
        yield make


@pytest.fixture
def devpi(devpi_server):
    return devpi_server(f"dev{next(_NUMBERS)}")


@pytest.fixture(params=["pypiserver", "devpi"])
def index(request, monkeypatch):
    monkeypatch.setenv("TWINE_USERNAME", "alice")
    monkeypatch.setenv("TWINE_PASSWORD", PASSWORD)
    return request.getfixturevalue(request.param)


def project(path, server, name="project"):
    made = factory.make_project(path / name)
    made.configure(f'publish_to = ["store", "index"]\nrepository = "{server.repository}"\nindex_url = "{server.pages}"')
    return made


def in_the_store(made):
    release = DirectoryStore(made.store).manifest("weaveserver", "1.1.4")
    return {artifact.name: artifact.sha256 for artifact in release.of_kind("sdist", "wheel")}


@pytest.mark.slow
def test_to_the_store_and_then_to_the_index(index, tmp_path):
    made = project(tmp_path, index)
    report = factory.Quiet()
    proposal = factory.run_release(made, "1.1.4", report=report)
    assert report.kinds.index("publish") < report.kinds.index("upload") and report.kinds[-1] == "upload" and report.warnings == []
    assert proposal.plan.steps[-1].text == f"twine upload of sdist and wheel to {index.repository}, what it lacks of them"
    assert index.has() == in_the_store(made) and len(index.has()) == 2
    report = factory.Quiet()
    assert factory.run_release(made, "1.1.4", report=report).done and report.kinds == []


@pytest.mark.slow
def test_the_index_has_the_same_bytes_already(index, tmp_path):
    """The store was lost, the tag and the index were not: built again, nothing is uploaded, and that is success."""
    made = project(tmp_path, index)
    factory.run_release(made, "1.1.4")
    first = in_the_store(made)
    shutil.rmtree(made.store)
    report = factory.Quiet()
    factory.run_release(made, "1.1.4", report=report)
    assert report.kinds[-1] == "upload" and report.warnings == [] and in_the_store(made) == first == index.has()


@pytest.mark.slow
def test_the_index_has_other_bytes(pypiserver, tmp_path, world):
    made = project(tmp_path, pypiserver)
    file, raw = wheel("weaveserver", "1.1.4")
    (tmp_path / "packages" / file).write_bytes(raw)
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.message.startswith(f"compare: {pypiserver.repository} has another {file} already: sha256 ")
    assert error.value.hint == "a number is never used twice: release another version" and world(made) == before
    (tmp_path / "packages" / file).unlink()
    made.write("pyproject.toml", (made.root / "pyproject.toml").read_text().replace('["store", "index"]', '["store"]'))
    made.commit("only the store")
    factory.run_release(made, "1.1.4")
    made.write("pyproject.toml", (made.root / "pyproject.toml").read_text().replace('["store"]', '["store", "index"]'))
    (tmp_path / "packages" / file).write_bytes(raw)
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert f"has another {file} already" in error.value.details[0]["message"], "at preflight, since the store says what the bytes are"


@pytest.mark.slow
def test_a_wrong_password_and_the_rerun(index, tmp_path, monkeypatch):
    made = project(tmp_path, index)
    monkeypatch.setenv("TWINE_PASSWORD", "not-" + PASSWORD)
    report = factory.Quiet()
    lines = []
    report.log = lines.append
    with pytest.raises(NeedsHands) as error:
        factory.run_release(made, "1.1.4", report=report)
    assert error.value.message.startswith("upload: twine upload --repository-url http://127.0.0.1:")
    assert error.value.hint == "inv release --version 1.1.4 finishes it" and error.value.effect.endswith("weaveserver/1.1.4 is published")
    assert PASSWORD not in "\n".join([*lines, *error.value.lines(), *report.tail])
    assert index.has() == {}
    monkeypatch.setenv("TWINE_PASSWORD", PASSWORD)
    report = factory.Quiet()
    factory.run_release(made, "1.1.4", report=report)
    assert report.kinds == ["upload"] and index.has() == in_the_store(made)


@pytest.mark.slow
def test_devpi_has_other_bytes(devpi, tmp_path, monkeypatch, world, warm):
    """Another wheel of that version, which somebody uploaded: refused before the point of no return, and left there."""
    monkeypatch.setenv("TWINE_USERNAME", "alice")
    monkeypatch.setenv("TWINE_PASSWORD", PASSWORD)
    made = project(tmp_path, devpi)
    file, raw = wheel("weaveserver", "1.1.4")
    (tmp_path / file).write_bytes(raw)
    upload._twine(devpi.repository, [tmp_path / file], tmp_path, print)
    before, there = world(made), devpi.has()
    with pytest.raises(FailedUndone) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.code == 4 and error.value.message.startswith(f"compare: {devpi.repository} has another {file} already: sha256 ")
    assert error.value.hint == "a number is never used twice: release another version"
    assert world(made) == before and devpi.has() == there == {file: hashlib.sha256(raw).hexdigest()}


@pytest.mark.slow
def test_killed_between_the_two_files_the_same_command_sends_the_other(index, tmp_path, monkeypatch, warm):
    made = project(tmp_path, index)
    send = upload._twine

    def dies(repository, files, cwd, log):
        send(repository, files[:1], cwd, log)
        os.kill(os.getpid(), signal.SIGKILL)
    pid = os.fork()
    if not pid:
        monkeypatch.setattr(upload, "_twine", dies)
        with contextlib.suppress(BaseException):
            factory.run_release(made, "1.1.4")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    first, ours = index.has(), in_the_store(made)
    assert len(first) == 1 and first.items() <= ours.items() and len(ours) == 2
    report = factory.Quiet()
    sent = []
    monkeypatch.setattr(upload, "_twine", lambda repository, files, *more: (sent.extend(path.name for path in files), send(repository, files, *more)))
    factory.run_release(made, "1.1.4", report=report)
    assert report.kinds[-1] == "upload" and index.has() == ours and sent == sorted(set(ours) - set(first))
    assert factory.run_release(made, "1.1.4").done


def test_an_index_that_does_not_answer(tmp_path, world):
    made = project(tmp_path, Server("http://127.0.0.1:9/", "http://127.0.0.1:9/simple"))
    before = world(made)
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.details == [{"message": "the package index gave no answer: http://127.0.0.1:9/simple/weaveserver/: "
                                               "[Errno 111] Connection refused", "next": "try again, or take index out of publish_to"}]
    assert world(made) == before


@pytest.mark.parametrize("lines, message", [
    ('publish_to = ["index"]', "publish_to: store must be in it"),
    ('publish_to = ["store", "indx"]', "publish_to: indx is unknown"),
    ('publish_to = ["store", "index"]', "publish_to: index needs to know which one"),
    ('publish_to = ["store", "index"]\nrepository = "https://index.example.org/"', "repository: where its simple pages are is not known"),
    ('publish_to = ["store", "index"]\nrepository = "https://me:secret@index.example.org/"',
     "repository: no name and no password belong into an address that is in version control")])
def test_a_configuration_that_cannot_work(project, lines, message):
    project.configure(lines)
    with pytest.raises(UsageError) as error:
        factory.run_release(project, "1.1.4")
    assert error.value.message.endswith(message) and "secret" not in "\n".join(error.value.lines())


def test_a_servers_echo_of_the_password_is_hidden(monkeypatch):
    monkeypatch.setenv("TWINE_PASSWORD", PASSWORD)
    assert upload._hidden(f"<body>{PASSWORD}</body>") == "<body>***</body>"


@pytest.mark.parametrize("file, belongs", [
    ("weave_server-1.1.4.tar.gz", True), ("weave-server-1.1.4.tar.gz", True), ("Weave.Server-1.1.4-py3-none-any.whl", True),
    ("weave_server-1.1.4.1.tar.gz", False), ("weave_server-1.1.4rc1.tar.gz", False), ("weave_server_x-1.1.4.tar.gz", False),
    ("weave_server-1.1.4-py3-none-any.whl.metadata", False)])
def test_which_files_are_of_a_version(file, belongs):
    assert simple._belongs(file, "weave-server", "1.1.4") is belongs
