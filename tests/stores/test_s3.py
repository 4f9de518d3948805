"""S3: what a server must promise, and what is said when it does not, or is not there."""

import sys
import tempfile
from pathlib import Path

import pytest

from tests.stores import servers
from weft.errors import Refused, UsageError
from weft.stores import open_store
from weft.stores.filesystem import Filesystem
from weft.stores.folder import Folder
from weft.stores.keyed import KeyedStore
from weft.testing.store_goods import Goods

SECRET = "s3cr3t-of-the-test"


@pytest.fixture
def server(monkeypatch):
    with servers.s3(monkeypatch) as url:
        yield url


def refusal(act):
    with pytest.raises(Refused) as error:
        act()
    assert SECRET not in "\n".join(error.value.lines())
    return error.value


def staged_in(url):
    with tempfile.TemporaryDirectory() as folder:
        return Goods(Path(folder)).stage(open_store(url, None))


@pytest.mark.slow
def test_create_only_is_decided_by_the_server(server):
    """The request itself carries the condition; were it a question first, two could both be told that they were first."""
    space = open_store("s3://artifacts/x", None).space
    asked = []
    space.fs.s3.meta.events.register("before-send.s3.*", lambda request, **_: asked.append((request.method, request.headers.get("If-None-Match"))))
    assert space.create("a/b", b"one") is True and space.create("a/b", b"two") is False
    assert asked == [("PUT", b"*"), ("PUT", b"*")], asked


@pytest.mark.slow
def test_a_bucket_that_is_not_there(server):
    error = refusal(lambda: staged_in("s3://nothing-here"))
    assert error.message == "s3://nothing-here: FileNotFoundError: The specified bucket does not exist"


@pytest.mark.slow
def test_nobody_there(server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    error = refusal(open_store("s3://artifacts/x", None).apps)
    assert error.message.startswith("s3://artifacts/x: ") and "127.0.0.1:9" in error.message


@pytest.mark.slow
def test_no_credentials(server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert refusal(lambda: staged_in("s3://artifacts/x")).message.startswith("s3://artifacts/x: ")


class Replacing(Folder):
    """A server that does not know If-None-Match: it writes, and says that all is well."""

    def create(self, name, content):
        self.replace(name, content)
        return True


def test_a_server_that_replaces_is_refused_before_anything_is_uploaded(tmp_path):
    store = KeyedStore(Replacing(tmp_path / "store"), "s3://look/alike")
    error = refusal(lambda: Goods(tmp_path / "goods").stage(store))
    assert error.lines() == ["s3://look/alike replaces a file that is there, although it was told not to", "now:  nothing changed",
                             "next: use a server that honours create-only writes (S3: If-None-Match), or a shared directory"]
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


class Telling:
    """A filesystem whose errors tell everything."""

    def ls(self, *_, **__):
        raise RuntimeError(f"cannot ask https://me:{SECRET}@host/x?X-Amz-Signature=abc&x=1\nkey {SECRET}")


def test_errors_are_one_line_without_secrets(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    error = refusal(KeyedStore(Filesystem(Telling(), "x", "s3://x"), "s3://x").apps)
    assert error.message == "s3://x: RuntimeError: cannot ask https://***@host/x?X-Amz-Signature=***&x=1 key ***"


@pytest.mark.parametrize("url, module", [("s3://bucket/x", "s3fs"), ("memory://x", "fsspec.implementations.memory")])
def test_a_missing_package_is_named_with_the_command(monkeypatch, url, module):
    monkeypatch.setitem(sys.modules, module, None)
    error = refusal(lambda: open_store(url, None))
    name = module.partition(".")[0]
    assert error.message.startswith(f"this kind of artifact store needs {name}, which is not installed (")
    assert error.hint == "python -m pip install 'weft[s3]'"


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "memory://"])
def test_an_address_without_a_bucket(url):
    with pytest.raises(UsageError, match="names no bucket$"):
        open_store(url, None)


def test_opening_imports_nothing_heavy_for_the_others(tmp_path):
    import subprocess
    code = ("import sys\nfrom pathlib import Path\nfrom weft.stores import open_store\n"
            "for url in ('x', 'file:///x', 'https://x/y', 'sftp://x/y'):\n    open_store(url, Path('/'))\n"
            "print(sorted({'paramiko', 's3fs', 'fsspec', 'packaging', 'aiohttp', 'botocore'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
