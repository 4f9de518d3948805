"""The sdist from the clone, the wheel from the sdist, and what both must be."""

from __future__ import annotations

import email.message
import email.parser
import sys
import zipfile
from pathlib import Path
from typing import Callable, Mapping, Sequence

from weft.errors import Refused
from weft.release import pipconf, run, sdist, tools
from weft.release.sdist import normal
from weft.release.target import Target, listed, shown
from weft.release.wheel import repack

Log = Callable[[str], None]


def environment(epoch: int) -> dict[str, str]:
    """What makes a build the same here and elsewhere. epoch: seconds since 1970."""
    return run.environment({"SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0",
                            "PYTHONDONTWRITEBYTECODE": "1"})


def make_sdist(source: Path, out: Path, epoch: int, log: Log) -> Path:
    """Raises CommandFailed; Refused when the backend did not make exactly one .tar.gz."""
    _build(["--sdist", "--outdir", str(out), str(source)], source, epoch, log)
    path = _one(out, "*.tar.gz")
    sdist.repack(path, epoch)
    return path


def make_wheel(archive: Path, into: Path, out: Path, epoch: int, log: Log) -> Path:
    """Unpack the sdist in `into` and build the wheel there, so that it holds nothing that the sdist lacks."""
    source = sdist.unpack(archive, into)
    _build(["--wheel", "--outdir", str(out), str(source)], source, epoch, log, into)
    path = _one(out, "*.whl")
    repack(path, epoch)
    return path


def _build(words: list[str], cwd: Path, epoch: int, log: Log, ceiling: Path | None = None) -> None:
    """ceiling: where a backend that asks git ends its search, so that it does not find the repository around the scratch."""
    uv = ["--installer", "uv"] if tools.uv() else []
    env = environment(epoch) | (pipconf.for_uv() if uv else {}) | ({"GIT_CEILING_DIRECTORIES": str(ceiling)} if ceiling else {})
    run.watch([sys.executable, "-m", "build", *uv, *words], cwd, env, log)


def _one(out: Path, pattern: str) -> Path:
    found = sorted(out.glob(pattern))
    if len(found) != 1:
        raise Refused(f"the build made {len(found)} files {pattern}, not one: {', '.join(p.name for p in found)}")
    return found[0]


def metadata(wheel: Path) -> email.message.Message:
    """The wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode("utf-8"))


def requirements(wheel: Path, environment: Mapping[str, str], extras: Sequence[str] = ()) -> list[str]:
    """What the wheel requires in that environment, with these extras of it, sorted. Raises Refused for an extra it has not."""
    from packaging.requirements import Requirement
    said = metadata(wheel)
    lacking = sorted({normal(e) for e in extras} - {normal(e) for e in said.get_all("Provides-Extra") or ()})
    if lacking:
        raise Refused(f"{said['Name']} has no extra {', '.join(lacking)}", "correct `extras` in [tool.weft]")
    found = set()
    for line in said.get_all("Requires-Dist") or ():
        each = Requirement(line.strip())
        if each.marker and "extra" in str(each.marker):
            if not any(each.marker.evaluate({**environment, "extra": extra}) for extra in extras):
                continue
            each.marker = None
        found.add(str(each))
    return sorted(found)


def serves(wheel: Path, targets: Sequence[Target]) -> None:
    """The one wheel of the application fits every target, by its tags and by what it says it requires. Raises Refused."""
    from packaging.specifiers import SpecifierSet
    unfit = [each for each in targets if not each.takes(wheel.name)]
    if unfit:
        raise Refused(f"the wheel {wheel.name} is compiled and does not serve {shown(unfit)}",
                      "one release has one wheel of the application: py3-none-any, abi3, or compiled for the one Python in [tool.weft] python")
    said = metadata(wheel)["Requires-Python"] or ""
    unfit = [each for each in targets if not each.allowed(SpecifierSet(said))]
    if unfit:
        raise Refused(f"the project requires Python {said}; [tool.weft] python names {listed([each.python for each in unfit])}", "correct one of them")


def modules(wheel: Path) -> list[str]:
    """The packages and modules that the wheel installs at the top."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name.split("/") for name in archive.namelist()]
    tops = {parts[0] for parts in names if len(parts) == 2 and parts[1] == "__init__.py"}
    tops |= {parts[0][:-3] for parts in names if len(parts) == 1 and parts[0].endswith(".py")}
    return sorted(top for top in tops if top.isidentifier() and top not in ("tests", "test", "docs", "examples"))


def check(archive: Path, wheel: Path, version: str, log: Log, strict: bool = True) -> None:
    """Names by PEP 625, the version that was asked for, metadata and README as an index wants them.

    strict: what an index would only warn of is refused too.
    Raises Refused or CommandFailed.
    """
    said = metadata(wheel)
    if said["Version"] != version:
        raise Refused(f"the wheel says version {said['Version']}, the release is {version}",
                      "write the version in one place, or set version_file in [tool.weft]")
    expected = f"{sdist.normal(said['Name'])}-{version}.tar.gz"
    if archive.name != expected:
        raise Refused(f"the sdist is named {archive.name}; PEP 625 wants {expected}",
                      "require a newer build backend, such as setuptools>=69.3, in [build-system]")
    run.watch([sys.executable, "-m", "twine", "check", *(["--strict"] if strict else []), str(archive), str(wheel)], archive.parent,
              run.environment({"NO_COLOR": "1"}), log)
