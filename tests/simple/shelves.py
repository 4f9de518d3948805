"""Small real releases, published through any store."""

from tests.web.bench_web import sdist, wheel
from weft.testing.store_goods import Goods  # noqa: F401  (the stores' own suite uses wheels that are none)
from weft.values import Artifact, Release

HELLO = "hello"


def made(folder, app, version, dependencies=(), requires="", created="2026-03-01T09:30:00Z"):
    """(release, its files) below `folder`."""
    import hashlib
    given = [("sdist", *sdist(app, version)), ("wheel", *wheel(app, version, requires)),
             ("installer", *_inside("tools", wheel("pip", "99.0"))), ("lock", "requirements.lock", b"# locked\n")]
    given += [("dependency", *_inside("wheelhouse", wheel(*each))) for each in dependencies]
    files, artifacts = {}, []
    for kind, name, content in given:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[name] = path
        artifacts.append(Artifact(name, kind, len(content), hashlib.sha256(content).hexdigest()))
    return Release(app, version, "c" * 40, version, created, "3.11", tuple(artifacts), "hello:app"), files


def _inside(folder, file):
    return f"{folder}/{file[0]}", file[1]


class Shelf:
    """A store, and where its releases are made."""

    def __init__(self, store, folder):
        self.store, self.folder = store, folder

    def publish(self, app, version, dependencies=(), requires="", created="2026-03-01T09:30:00Z"):
        release, files = made(self.folder / app / version, app, version, dependencies, requires, created)
        place = self.store.staging(app, version)
        self.store.stage(place, release, files)
        self.store.publish(place, app, version)
        return release
