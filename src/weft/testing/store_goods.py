"""A small release to publish, and ways for its publishers to race and to die; for the stores' suite."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Iterator

from weft.values import Artifact, Release

APP = "shop"
_WHEEL, _CLICK = "shop-{}-py3-none-any.whl", "wheelhouse/click-8.0-py3-none-any.whl"


METADATA = b"Metadata-Version: 2.1\nName: shop\nVersion: 1.1.4\nRequires-Python: >=3.9\n"


def real_wheel() -> bytes:
    """The bytes of a wheel with that metadata."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as out:
        out.writestr(zipfile.ZipInfo("shop-1.1.4.dist-info/METADATA"), METADATA)
    return raw.getvalue()


class Goods:
    """A release of the application `shop` and its files, in `folder`. content: the wheel's bytes.  big: of the other file."""

    def __init__(self, folder: Path, version: str = "1.1.4", content: bytes = b"wheel", big: int = 1000):
        said = {_WHEEL.format(version): ("wheel", content), _CLICK: ("dependency", b"click" * (big // 5))}
        folder.mkdir(parents=True, exist_ok=True)
        self.files: dict[str, Path] = {}
        artifacts = []
        for name, (kind, raw) in said.items():
            sha = hashlib.sha256(raw).hexdigest()
            self.files[name] = folder / sha
            self.files[name].write_bytes(raw)
            artifacts.append(Artifact(name, kind, len(raw), sha))
        self.release = Release(APP, version, "c" * 40, version, "2024-05-06T00:00:00Z", "3.11", tuple(artifacts), "shop:app")

    @property
    def wheel(self) -> Artifact:
        return self.release.artifacts[0]

    def stage(self, store: Any, signature: str = "") -> Path:
        place = store.staging(self.release.app, self.release.version)
        store.stage(place, self.release, self.files, signature)
        return Path(str(place))

    def publish(self, store: Any, signature: str = "") -> Any:
        return store.publish(self.stage(store, signature), self.release.app, self.release.version)


class Killed(BaseException):
    """What ends a publisher in these tests: nothing of it is cleaned up."""


class Dying(Mapping):
    """Files whose publisher dies when it asks for the one numbered `at`."""

    def __init__(self, files: Mapping[str, Path], at: int):
        self.files, self.left = files, at

    def __getitem__(self, name: str) -> Path:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return self.files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … answer when they start at one moment, each in a thread; an error is an answer.

    Threads take turns far more often than usual, so that what is first asked and then done comes between them.
    """
    gate, answers, usual = threading.Barrier(count), [None] * count, sys.getswitchinterval()

    def one(number: int) -> None:
        gate.wait()
        try:
            answers[number] = work(number)
        except Exception as error:
            answers[number] = error
    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    sys.setswitchinterval(1e-6)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(usual)
    return answers
