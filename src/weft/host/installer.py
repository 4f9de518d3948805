"""pip, which travels with the release: unpacked once a host, run as the account for it, never as root."""

from __future__ import annotations

import os
from pathlib import Path

from weft.errors import Refused
from weft.host import sealing
from weft.host.commands import READY, run
from weft.host.kept import cached
from weft.host.layout import seal
from weft.host.work import Work, empty_folder, remove, seize
from weft.typing import Sequence
from weft.values import Artifact

MOST_TOOL = 100 << 20
NOT_PIP = "look at the release's installer: it is not pip"

USED = ("pip._internal.cli.autocompletion", "pip._internal.commands.install", "pip._internal.metadata.importlib", "pip._internal.operations.install.wheel",
        "pip._internal.resolution.resolvelib.resolver", "pip._vendor.distro", "pip._vendor.pygments.lexers.python", "pip._vendor.truststore")
"""What an install imports sooner or later. A pip that has no such module compiles another one at each run; nothing else depends on it."""
FIRST = f"""
import importlib, sys
from runpy import run_path
sys.path.insert(0, sys.argv.pop(1))
for name in {USED}:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
print({READY!r}, flush=True)
sys.stdin.read()
sys.argv.pop(0)
run_path(sys.argv[0], run_name="__main__")
"""
"""The first run: what pip has imported leaves its byte code, and before pip sees a wheel nobody can write there any more."""


def installer(work: Work) -> tuple[Artifact, Path]:
    """The release's pip and where it lies unpacked."""
    assert work.release is not None
    artifact = work.release.of_kind("installer")[0]
    return artifact, work.layout.tool(f"pip-{artifact.sha256[:12]}")


class Tools:
    """Unpack pip's own wheel once a host. Its first run seals it."""

    def __init__(self, work: Work):
        self.work = work

    def do(self) -> None:
        artifact, place = installer(self.work)
        if seal(place).exists():
            return
        remove(place)
        place.mkdir(mode=0o755)
        import zipfile
        with zipfile.ZipFile(cached(self.work.layout, artifact)) as wheel:
            if sum(each.file_size for each in wheel.infolist()) > MOST_TOOL:
                raise Refused(f"{artifact.name} unpacks to more than {MOST_TOOL >> 20} MB")
            wheel.extractall(place)
        for folder, _dirs, files in list(os.walk(place)):
            if any(name.endswith(".py") for name in files):
                empty_folder(self.work.layout, Path(folder, "__pycache__"), self.work.installer)

    def undo(self) -> None:
        _artifact, place = installer(self.work)
        if not seal(place).exists():
            remove(place)


def _close(work: Work) -> None:
    """Seal the tool while its first run waits. Raises Refused where that has left something that is not byte code."""
    artifact, place = installer(work)
    for cache in sorted(place.rglob("__pycache__")):
        for _again in range(2):  # what was made between the look and the change of hands
            seize(work.layout, cache)
        for each in os.scandir(cache):
            if not (each.is_file(follow_symlinks=False) and each.name.endswith(".pyc")):
                raise Refused(f"{each.path} is not byte code", NOT_PIP)
    sealing.close(place, {"tool": artifact.sha256})


def pip_install(work: Work, python: str, wheels: Sequence[Artifact], place: Path, extra: Sequence[str]) -> None:
    """pip, unprivileged, in hash mode, from files only: no index, no build, no dependency that was not locked.

    What it reads is root's; what it may write is `place`, which is its own until it is seized."""
    import tempfile
    _artifact, tool = installer(work)
    wanted = Path(tempfile.mkdtemp(prefix=".weft-tmp-wheels-", dir=work.layout.cache))
    wanted.chmod(0o755)
    lines = []
    for each in wheels:
        os.symlink(cached(work.layout, each), wanted / each.basename)
        lines.append(f"{wanted / each.basename} --hash=sha256:{each.sha256}\n")
    (wanted / "requirements.txt").write_text("".join(lines))
    scratch = place / ".scratch"
    empty_folder(work.layout, scratch, work.installer)
    first = not seal(tool).exists()
    try:
        run([python, "-I", *(["-c", FIRST, str(tool)] if first else []), str(tool / "pip"), "install", "--isolated", "--no-input", "--disable-pip-version-check",
             "--no-cache-dir", "--no-index", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-compile", "--progress-bar", "off",
             "--no-warn-script-location", *extra, "-r", str(wanted / "requirements.txt")],
            "pip install", work.layout, work.installer, environment={"HOME": str(scratch), "TMPDIR": str(scratch)},
            network=False, ready=(lambda: _close(work)) if first else None)
    finally:
        remove(wanted)
        remove(scratch)
    if not seal(tool).exists():
        raise Refused("the installer has ended before it was ready to install", NOT_PIP)
