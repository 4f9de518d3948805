"""A real store, and the index served from it over real HTTP."""

from __future__ import annotations

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import pytest

from tests.web.bench_web import call, release
from weft.web.app import make_app
from weft.web.settings import Settings


@pytest.fixture
def store(tmp_path):
    """hello 1.0, 1.9 and 1.10 with a dependency, and my_shop 2.0rc1."""
    place = tmp_path / "store"
    release(place, "hello", "1.0", [("Dep.Lib", "1.0")], "dep-lib")
    release(place, "hello", "1.9", [("Dep.Lib", "1.0")], "dep-lib", created="2026-03-02T09:30:00+00:00")
    release(place, "hello", "1.10", [("Dep.Lib", "1.1")], "dep-lib>=1.1", created="2026-03-03T09:30:00Z")
    release(place, "my_shop", "2.0rc1", python=">=3.10")
    return place


@pytest.fixture
def app(store):
    return make_app(Settings(str(store), "Our <releases>"))


@pytest.fixture
def ask(app):
    """ask(path, **environ) -> (status, headers, body), through wsgiref's validator."""
    return lambda path, **words: call(app, path, **words)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_words):
        pass


@pytest.fixture
def served(app):
    """The index's address, over real HTTP."""
    with make_server("127.0.0.1", 0, validator(app), handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
