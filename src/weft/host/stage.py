"""The steps up to a generation that could be served. Users see nothing of them; undo is removal."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
from pathlib import Path

from weft import durable
from weft.errors import FailedUndone, Refused
from weft.host import sealing
from weft.host.commands import CommandFailed, application_frames, ids, run
from weft.host.installer import pip_install
from weft.host.kept import cached
from weft.host.layout import Layout, seal
from weft.host.work import Work, empty_folder, put, remove, seize
from weft.typing import Any, Iterator, Sequence
from weft.values import Release


PATIENCE = 60.0
"""Seconds without a byte after which a file that should come is given up."""


class Fetch:
    """Take the announced files from the operator into the cache, by digest, and the others from the store where this host reads it itself. Kept on a failure: they are verified."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, wanted: Sequence[str]) -> None:
        for digest, size in self.work.files:
            receive(self.work.layout.cache, self.work.stream, digest, size)
        durable.fsync_dir(self.work.layout.cache)
        lacking = [d for d in wanted if not (self.work.layout.cache / d).exists()]
        if lacking and self.work.site.artifacts:
            from weft.host import near
            near.take(self.work.site, self.work.whole, self.work.layout.cache, lacking)
        elif lacking:
            raise Refused(f"{len(lacking)} files of the release did not come with the request", "run the command again")

    def undo(self, wanted: Sequence[str]) -> None:
        pass


def receive(cache: Path, stream: Any, digest: str, size: int) -> None:
    """`size` bytes from the stream to cache/digest. Raises Refused where they are fewer or others."""
    temp = durable.temp_name(cache / digest)
    found, left = hashlib.sha256(), size
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        with os.fdopen(fd, "wb") as out:
            while left:
                with patient():
                    block = stream.read1(min(left, 1 << 20))
                if not block:
                    raise Refused(f"the connection ended {left} bytes before the end of a file")
                found.update(block)
                out.write(block)
                left -= len(block)
            out.flush()
            os.fsync(out.fileno())
        if found.hexdigest() != digest:
            raise Refused("a file that came is not the one in the manifest (its sha256 differs)",
                          "check the store with `inv verify`")
        os.rename(temp, cache / digest)
    finally:
        temp.unlink(missing_ok=True)


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Wait for an operator or a mirror that has gone silent, but not for ever: the host's lock is held."""
    def late(_signal: int, _frame: Any) -> None:
        raise Refused(f"nothing came for {PATIENCE:g} s in the middle of a file", "see that the store answers, then run the same command again")
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


FEW = 100
"""So many files compile in less time than it takes to start a process a core for them."""


def compile_all(work: Work, tree: Path) -> None:
    """Byte code for a tree, on all cores if it is a large one. A file that does not compile is its author's: it is left uncompiled."""
    cores = "0" if sum(name.endswith(".py") for _folder, _dirs, files in os.walk(tree) for name in files) > FEW else "1"
    try:
        run([work.site.python, "-I", "-m", "compileall", "-q", "-j", cores, "--invalidation-mode", "unchecked-hash", str(tree)],
            "compileall", work.layout, work.installer, network=False)
    except CommandFailed:
        pass


class Layer:
    """The locked dependencies, once for all releases with this lock."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, layer: str) -> None:
        place, release = self.work.layout.layer(layer), self.work.release
        assert release is not None
        empty_folder(self.work.layout, place, self.work.installer)
        site = place / "site"
        pip_install(self.work, self.work.site.python, release.dependencies, place, ["--target", str(site)])
        compile_all(self.work, site)
        seize(self.work.layout, place)
        sealing.close(place, {"layer": layer, "python": release.pythons[0]})

    def undo(self, layer: str) -> None:
        if not seal(self.work.layout.layer(layer)).exists():
            remove(self.work.layout.layer(layer))


class InstallRelease:
    """A virtualenv in its final place (it can't be renamed) with the application; it refers to its layer."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, release: str) -> None:
        work, said = self.work, self.work.release
        assert said is not None and said.id == release
        place = work.layout.release(release)
        empty_folder(work.layout, place, work.installer)
        make_venv(work, place)
        pip_install(work, str(place / "venv/bin/python"), said.of_kind("wheel"), place, [])
        compile_all(work, place / "venv" / "lib")
        seize(work.layout, place)
        if said.dependencies:
            site = work.layout.layer(said.layer) / "site"
            put(site_packages(place) / "weft-layer.pth", f"import site; site.addsitedir({str(site)!r})\n")
            put(place / "layer.txt", f"{site}\n")
        self._entry(place, said)
        put(place / "manifest.json", json.dumps(said.to_json(), sort_keys=True))
        sealing.close(place, {"release": release})

    def _entry(self, place: Path, said: Release) -> None:
        entry: dict[str, str] = {"callable": said.callable}
        remove(place / "entry")
        for artifact in said.of_kind("entry"):
            (place / "entry").mkdir()
            put(place / "entry" / artifact.basename, cached(self.work.layout, artifact).read_bytes())
            entry = {"entry": f"entry/{artifact.basename}"}
        put(place / "entry.json", json.dumps(entry))
        for artifact in said.of_kind("settings"):
            put(place / "settings.ini", cached(self.work.layout, artifact).read_bytes())

    def undo(self, release: str) -> None:
        """Sealed or not: the plan had this step because the release was not here before."""
        remove(self.work.layout.release(release))


def site_packages(place: Path) -> Path:
    """Of a release's virtualenv. Raises Refused where what installed it has put links in the way."""
    found = next((place / "venv" / "lib").glob("python3*/site-packages"))
    if os.path.realpath(found) != os.path.join(os.path.realpath(place), found.relative_to(place)):
        raise Refused(f"{found} leads out of the release", "look at the release's installer: it is not pip")
    return found


def make_venv(work: Work, place: Path) -> None:
    """Without pip: a pip in each virtualenv is the slowest part of making one."""
    run([work.site.python, "-I", "-m", "venv", "--without-pip", str(place / "venv")], "virtualenv", work.layout, work.installer,
        network=False)


class MakeGeneration:
    """The release with its effective settings, sealed together: they switch and roll back as one."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, record: dict[str, Any]) -> None:
        write_generation(self.work, record)

    def undo(self, record: dict[str, Any]) -> None:
        remove(self.work.layout.generation(record["number"]))


def write_generation(work: Work, record: dict[str, Any]) -> None:
    """record.json comes last: without it the directory is residue. The settings are for root and the application only."""
    place = work.layout.generation(record["number"])
    remove(place)
    place.mkdir(mode=0o755)
    os.symlink(f"../../releases/{record['release']}", place / "release")
    if work.settings is not None:
        record = {**record, "secrets": work.settings.secrets} if work.settings.secrets else record
        owner = (0, ids(work.layout, work.site.account)[1]) if work.layout.privileged else None
        durable.write(work.layout.sealed_settings(record["number"]), work.settings.text, 0o600)
        durable.write(place / "settings.ini", work.settings.text, 0o640, owner)
    durable.write(place / "record.json", json.dumps(record, sort_keys=True), 0o644)
    durable.fsync_dir(place.parent)


class ImportCheck:
    """Import the application as its own account, before anything is restarted for it."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, generation: int) -> None:
        layout, site = self.work.layout, self.work.site
        place = layout.generation(generation)
        whole = os.urandom(8).hex()
        code = f"import runpy; runpy.run_path({str(layout.entry)!r}); import os; os.write(1, b'\\n{whole}'); os._exit(0)"
        what = "the application cannot be imported"
        try:
            said = run([str(place / "release/venv/bin/python"), "-I", "-c", code], what, layout,
                       site.account, site.health.timeout, {"WEFT_CHECK_GENERATION": str(place), "HOME": "/"})
            if f"\n{whole}" not in said:  # what other threads say may come after it
                raise CommandFailed(f"{what}: it ended the process in the middle of its import", details=said.splitlines())
        except CommandFailed as error:
            raise FailedUndone(error.message, "mend the release, then release and deploy it under a new version",
                               details=[line[:500] for line in application_frames(error.details or [])[-25:]]) from None

    def undo(self, generation: int) -> None:
        pass
