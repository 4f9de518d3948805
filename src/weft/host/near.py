"""What a host takes from the artifact store by itself, where set-up has said how it reads it: files of a release, by digest.

What it cannot read there comes over the operator's connection, as everything does without it. Nothing that is read here is believed: the
manifest is the request's, and each file is compared with it.
"""

from __future__ import annotations

import os
from pathlib import Path

from weft.errors import Refused, UsageError
from weft.host.stage import receive
from weft.host.source import Source
from weft.servers import Site
from weft.typing import Collection
from weft.values import Release


def within_reach(site: Site, release: Release, missing: Collection[str]) -> tuple[list[str], str]:
    """Which of these digests it can take from there, and why not the others ("" if nothing is wrong). release: the request's, whole."""
    try:
        source = _source(site, release)
    except (Refused, UsageError) as error:
        return [], error.message
    vendored = {a.sha256 for a in release.artifacts} - {a.sha256 for a in release.unvendored}
    near = [a for a in release.for_host() if a.sha256 in missing and a.sha256 in vendored]
    if "://" in source.folder:
        return list(dict.fromkeys(a.sha256 for a in near)), ""
    there = [a for a in near if _is_there(Path(source.folder, a.name), a.size)]
    absent = sorted({a.name for a in near} - {a.name for a in there})
    return list(dict.fromkeys(a.sha256 for a in there)), f"{source.folder} has not {', '.join(absent)}" if absent else ""


def take(site: Site, release: Release | None, cache: Path, digests: Collection[str]) -> None:
    """Bring these into the cache. Raises Refused for what cannot be read, or is not what the manifest says."""
    assert release is not None
    source = _source(site, release)
    for artifact in source.wanted(digests):
        receive(cache, source.stream([artifact]), artifact.sha256, artifact.size)


def _source(site: Site, release: Release) -> Source:
    found = Source(site.artifacts, release.app, str(release.version))
    if found.release != release:
        raise Refused(f"{found.folder} has another {release.app} {release.version} than the one that is deployed", "see that it is the same store")
    return found


def _is_there(path: Path, size: int) -> bool:
    try:
        return os.stat(path, follow_symlinks=False).st_size == size
    except OSError:
        return False
