"""A package index as a further target: `twine upload` after the store has the release.

What is there already is left there: the same bytes are success, other bytes are refused before anything changes.
Credentials are twine's own affair (keyring, TWINE_*, ~/.pypirc); they are never read here and never shown.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

from weft import durable
from weft.config.load import Layer, read_toml
from weft.errors import Refused
from weft.release import run
from weft.release.observe import Project
from weft.values import Release

Log = Callable[[str], None]
_SEEN_WITHIN = 30
"""Seconds in which an uploaded file should be on the index's pages."""


@dataclass(frozen=True)
class Outlook:
    """repository: where to upload to, "" when nothing is to be uploaded.  faults: (message, fix)."""

    repository: str = ""
    faults: Sequence[tuple[str, str]] = ()


def wanted(config: Layer) -> bool:
    """Whether a package index is a target too. Raises UsageError for a configuration that cannot work."""
    unknown = set(config["publish_to"]) - {"store", "index"}
    if unknown or "store" not in config["publish_to"]:
        raise config.wrong("publish_to", f"{', '.join(sorted(unknown)) or 'store'} {'is unknown' if unknown else 'must be in it'}",
                           'publish_to = ["store", "index"]')
    return "index" in config["publish_to"] and bool(pages(config))


def outlook(project: Project, version: str, release: Release | None) -> Outlook:
    """Whether an upload is due, and what stands against it. release: the version in the store, if it is there."""
    config = project.config
    if not wanted(config):
        return Outlook()
    from weft.release import simple
    try:
        there = {name: simple.sha256(address) for name, address in simple.files(pages(config), name_of(project), version).items()}
    except simple.NoAnswer as error:
        return Outlook(faults=[(f"the package index gave no answer: {error}", "try again, or take index out of publish_to")])
    if release is None:
        return Outlook(config["repository"])
    ours = {artifact.name: artifact.sha256 for artifact in release.of_kind("sdist", "wheel")}
    clashes = _clashes(ours, there, config["repository"])
    return Outlook(config["repository"] if ours.keys() - there.keys() else "", clashes)


def pages(config: Layer) -> str:
    """Where the index shows what it has. Raises UsageError when the configuration does not tell, or holds a password."""
    if not config["repository"]:
        raise config.wrong("publish_to", "index needs to know which one", 'repository = "pypi", or the address that twine uploads to')
    for key in ("repository", "index_url"):
        if "@" in urllib.parse.urlsplit(config[key]).netloc:
            raise config.wrong(key, "no name and no password belong into an address that is in version control",
                               "keep them in your keyring, TWINE_USERNAME and TWINE_PASSWORD, or ~/.pypirc")
    if not config["index_url"]:
        raise config.wrong("repository", "where its simple pages are is not known", 'index_url = "https://…/simple"')
    return config["index_url"]


def name_of(project: Project) -> str:
    """The distribution's name, which need not be the application's."""
    path = project.root / "pyproject.toml"
    said = read_toml(path) if path.is_file() else {}
    return said.get("project", {}).get("name") or said.get("tool", {}).get("poetry", {}).get("name") or project.app


def _clashes(ours: Mapping[str, str], there: Mapping[str, str], index: str) -> list[tuple[str, str]]:
    return [(f"{index} has another {name} already: sha256 {there[name][:12]} there, {digest[:12]} here",
             "a number is never used twice: release another version")
            for name, digest in sorted(ours.items()) if there.get(name, digest) != digest]


def compare(project: Project, version: str, built: Sequence[Path]) -> None:
    """Before the point of no return: what the index has of this version must be these files. Raises Refused."""
    there = _there(project, version)
    clashes = _clashes({path.name: durable.sha256(path) for path in built}, there, project.config["repository"])
    if clashes:
        raise Refused("; ".join(message for message, _ in clashes), clashes[0][1])


def _there(project: Project, version: str) -> dict[str, str]:
    from weft.release import simple
    try:
        found = simple.files(pages(project.config), name_of(project), version)
        return {name: simple.sha256(address) for name, address in found.items()}
    except simple.NoAnswer as error:
        raise Refused(f"the package index gave no answer: {error}", "run the same command again when it does") from None


def upload(project: Project, version: str, log: Log, warn: Callable[[str], None]) -> None:
    """From the store, what the index lacks; then see it there. Raises CommandFailed, Refused."""
    release, there = project.store.manifest(project.app, version), _there(project, version)
    files = release.of_kind("sdist", "wheel")
    clashes = _clashes({each.name: each.sha256 for each in files}, there, project.config["repository"])
    if clashes:
        raise Refused("; ".join(message for message, _ in clashes), clashes[0][1])
    lacking = [each for each in files if each.name not in there]
    import tempfile
    with tempfile.TemporaryDirectory(prefix="weft-upload-") as place:
        for each in lacking:
            with project.store.open(project.app, version, each) as source:
                Path(place, each.basename).write_bytes(source.read())
            if durable.sha256(Path(place, each.basename)) != each.sha256:
                raise Refused(f"{each.name} in the store is not what its manifest says", f"inv verify --version {version}")
        if lacking:
            _twine(project.config["repository"], sorted(Path(place).iterdir()), Path(place), log)
    if not _seen(project, version, {each.name: each.sha256 for each in files}):
        warn(f"uploaded, but {project.config['repository']} does not show it yet; look again in a while")


def _twine(repository: str, files: Sequence[Path], cwd: Path, log: Log) -> None:
    """Whatever it prints goes through a filter for the password, in case a server sends it back."""
    where = ["--repository-url" if "://" in repository else "--repository", repository]
    try:
        run.watch([sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar", *where, *map(str, files)],
                  cwd, run.environment({"NO_COLOR": "1"}), lambda line: log(_hidden(line)))
    except run.CommandFailed as error:
        raise run.CommandFailed(["twine", "upload", *where], error.code, [_hidden(line) for line in error.tail]) from None


def _hidden(line: str) -> str:
    secret = os.environ.get("TWINE_PASSWORD", "")
    return line.replace(secret, "***") if secret else line


def _seen(project: Project, version: str, ours: Mapping[str, str]) -> bool:
    end = time.monotonic() + _SEEN_WITHIN
    while True:
        there = _there(project, version)
        if all(there.get(name) == digest for name, digest in ours.items()):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
