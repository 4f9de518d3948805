"""An sdist against the commit it was made from, file by file and byte by byte.

Every file of it must be one that version control holds, with the same bytes. Allowed besides is what a build writes on purpose:
the metadata (PKG-INFO, *.egg-info/), the two lines about tags that setuptools puts into setup.cfg, the file that a version is written
to by setuptools-scm and its like, what version control ignores, and what [tool.weft] generated names.
"""

from __future__ import annotations

import configparser
import fnmatch
import hashlib
import os
import posixpath
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Collection, Mapping, Sequence

from weft.errors import Refused

_SHOWN = 10
_LINK = "link to "
_HOPS = 40
_LFS, _LFS_MOST = b"version https://git-lfs.github.com/spec/v1\n", 1024
_VERSION_FILES = (("setuptools_scm", "version_file"), ("setuptools_scm", "write_to"), ("hatch.build.hooks.vcs", "version-file"),
                  ("pdm.version", "write_to"), ("pdm.build", "version-file"))


@dataclass(frozen=True)
class Tree:
    """What version control holds. files: path -> sha256, or "link to TARGET".  setup_cfg: its text, "" without one."""

    files: Mapping[str, str]
    setup_cfg: str = ""


def of_tree(root: Path) -> Tree:
    """Read from an export, before anything else has run in it."""
    files = {}
    for folder, folders, names in os.walk(root):
        for path in (Path(folder, name) for name in (*folders, *names)):
            if path.is_symlink():
                files[path.relative_to(root).as_posix()] = _LINK + os.readlink(path)
            elif path.is_file():
                files[path.relative_to(root).as_posix()] = _digest(path.read_bytes())
    cfg = root / "setup.cfg"
    return Tree(files, cfg.read_text(encoding="utf-8", errors="replace") if cfg.is_file() else "")


def check(archive: Path, tree: Tree, pyproject: Mapping[str, Any], generated: Sequence[str],
          ignored: Callable[[Sequence[str]], Collection[str]]) -> None:
    """generated: patterns of paths.  ignored: which of these paths version control ignores. Raises Refused, naming the files."""
    differs, extra = _faults(archive, tree)
    pointers = _pointers(archive)
    if pointers:
        raise Refused(f"{archive.name} has Git LFS's pointers in place of files: {', '.join(pointers[:_SHOWN])}",
                      "git lfs install && git lfs pull, then run the same command again")
    meant = [*generated, *_version_files(pyproject)]
    differs, extra = ([path for path in paths if not _meant(path, meant)] for paths in (differs, extra))
    if extra:
        known = ignored(extra)
        extra = [path for path in extra if path not in known]
    found = [*(f"{path} differs from the commit's" for path in differs), *(f"{path} is not in version control" for path in extra)]
    if found:
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise Refused(f"{archive.name} is not what was committed: {'; '.join([*found[:_SHOWN], *more])}",
                      "mend what the build packs; a file that it writes on purpose belongs into the ignore file, or into "
                      f'generated = ["{(differs + extra)[0]}"] in [tool.weft]')


def _faults(archive: Path, tree: Tree) -> tuple[list[str], list[str]]:
    """The paths whose bytes are others, and those that version control does not hold."""
    differs, extra = [], []
    with tarfile.open(archive) as source:
        for member in sorted((each for each in source if not each.isdir()), key=lambda each: each.name):
            path = member.name.partition("/")[2]
            have = _resolved(path, tree.files)
            if member.issym():
                same = tree.files.get(path) == _LINK + member.linkname
            else:
                content = source.extractfile(member).read()
                same = have == _digest(content) or path == "setup.cfg" and _only_tags(tree.setup_cfg, content)
            if not same:
                (differs if have else extra).append(path)
    return differs, extra


def _pointers(archive: Path) -> list[str]:
    """The files that only say where their content is kept: it was not fetched, and no host could."""
    with tarfile.open(archive) as source:
        small = [each for each in source if each.isfile() and each.size < _LFS_MOST]
        return [each.name.partition("/")[2] for each in small if source.extractfile(each).read(len(_LFS)) == _LFS]


def _resolved(path: str, files: Mapping[str, str]) -> str:
    """The digest of the file that a path leads to, through links that stay inside; "" when there is none."""
    for _ in range(_HOPS):
        parts = path.split("/")
        links = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        link = next((each for each in links if files.get(each, "").startswith(_LINK)), None)
        if link is None:
            return files.get(path, "")
        target = posixpath.join(posixpath.dirname(link), files[link].removeprefix(_LINK))
        path = posixpath.normpath(posixpath.join(target, *parts[link.count("/") + 1:]))
    return ""


def _only_tags(ours: str, packed: bytes) -> bool:
    """setuptools writes setup.cfg anew, with [egg_info] tag_build and tag_date, and without comments."""
    try:
        one, other = _settings(ours), _settings(packed.decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return False
    return one == other


def _settings(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str
    parser.read_string(text)
    found = {name: dict(parser[name]) for name in parser.sections()}
    tags = {key: value for key, value in found.pop("egg_info", {}).items() if key not in ("tag_build", "tag_date", "tag_svn_revision")}
    return {**found, "egg_info": tags}


def _meant(path: str, patterns: Sequence[str]) -> bool:
    parts = path.split("/")
    return path == "PKG-INFO" or any(part.endswith(".egg-info") for part in parts[:-1]) or \
        any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _version_files(pyproject: Mapping[str, Any]) -> list[str]:
    """Where the project's own configuration has its version written to by the build."""
    found = []
    for table, key in _VERSION_FILES:
        place: Any = pyproject.get("tool", {})
        for part in table.split("."):
            place = place.get(part, {}) if isinstance(place, dict) else {}
        if isinstance(place, dict) and isinstance(place.get(key), str):
            found.append(place[key])
    return [*found, *(f"src/{path}" for path in found), *(f"*/{path}" for path in found if "/" in path)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
