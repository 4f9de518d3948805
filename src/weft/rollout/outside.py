"""Wheels that a release names and its store has not: fetched by their hash, from where pip is configured to look.

Nothing is built and none of their code runs here; what comes is compared with the manifest, and kept in the user's cache.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterable, Sequence

from weft import durable
from weft.errors import Refused
from weft.values import Artifact, Release


def fetched(artifacts: Sequence[Artifact], release: Release) -> dict[str, Path]:
    """sha256 -> file. Raises Refused naming what is not to be had, or is not what the release says."""
    from weft.release import tools
    place = tools.cache() / "wheels"
    lacking = [each for each in artifacts if not _there(place, each)]
    if lacking:
        place.mkdir(parents=True, exist_ok=True)
    for python in release.pythons:
        wanted = [each for each in lacking if python == (each.pythons or release.pythons)[0]]
        if wanted:
            _download(place, wanted, python, release)
    return {each.sha256: place / each.sha256 for each in artifacts}


def _there(place: Path, artifact: Artifact) -> bool:
    path = place / artifact.sha256
    return path.is_file() and path.stat().st_size == artifact.size and durable.sha256(path) == artifact.sha256


def _download(place: Path, wanted: Sequence[Artifact], python: str, release: Release) -> None:
    """All wheels for one Python by one pip, each into the cache under its digest."""
    fresh = durable.temp_name(place / "fetch")
    try:
        fresh.mkdir()
        _pip(fresh, wanted, python, release)
        for each in wanted:
            path = fresh / each.basename
            if not path.is_file() or path.stat().st_size != each.size or durable.sha256(path) != each.sha256:
                raise Refused(f"the index has another {each.basename} than {release.app} {release.version} names",
                              "look at what changed there; nobody should install it")
            os.replace(path, place / each.sha256)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _pip(fresh: Path, wanted: Sequence[Artifact], python: str, release: Release) -> None:
    from weft.release import run, tools
    lines = ["{}=={} --hash=sha256:{}\n".format(*each.basename.split("-")[:2], each.sha256) for each in wanted]
    (fresh / "wanted.txt").write_text("".join(lines), encoding="utf-8")
    try:
        run.watch([*tools.pip(), "download", "--quiet", "--no-input", "--no-deps", "--require-hashes", "--only-binary", ":all:",
                   "--python-version", python, "--implementation", "cp", *_tags(each.basename for each in wanted), "--dest", str(fresh),
                   "--requirement", str(fresh / "wanted.txt")], Path.cwd())
    except run.CommandFailed as error:
        names = ", ".join(each.basename for each in wanted)
        said = next((line.strip() for line in error.tail if line.startswith("ERROR")), f"pip ended with {error.code}")
        raise Refused(f"{names}: not in the store, and not to be had from the index: {said}",
                      f"see that pip finds {'it' if len(wanted) == 1 else 'them'} here, or release with --vendor all",
                      details={"output": error.tail}) from None


def _tags(names: Iterable[str]) -> list[str]:
    """pip's options for just these wheels' machines and interfaces, whatever this machine is."""
    ends = [name.removesuffix(".whl").split("-")[-2:] for name in names]
    abis = dict.fromkeys(abi for pair in ends for abi in pair[0].split("."))
    platforms = dict.fromkeys(each for pair in ends for each in pair[1].split("."))
    return [word for abi in abis for word in ("--abi", abi)] + [word for each in platforms for word in ("--platform", each)]
