"""A release's files with their kinds, and the manifest over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterable, Mapping, Sequence

from weft import durable
from weft.values import Artifact, Release, Version


def files(built: Iterable[tuple[str, Path]], wheels: Iterable[Path], installer: Path, lock: Path,
          named: Mapping[str, Path]) -> dict[str, tuple[str, Path]]:
    """Artifact name -> (kind, where it lies). built: ("sdist", path), ("wheel", path); named: entry, settings and sbom."""
    found = {path.name: (kind, path) for kind, path in built}
    found[lock.name] = ("lock", lock)
    found.update({f"wheelhouse/{path.name}": ("dependency", path) for path in wheels})
    found[f"tools/{installer.name}"] = ("installer", installer)
    found.update({path.name: (kind, path) for kind, path in named.items()})
    return found


@dataclass(frozen=True)
class Parts:
    """Which target takes what. pythons: of the targets.  of: dependency's file name -> its Pythons.  outside: wheels that stay out of the store."""

    pythons: Sequence[str]
    of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outside: Sequence[Path] = ()

    def artifact(self, name: str, kind: str, path: Path) -> Artifact:
        own = tuple(self.of.get(path.name, ())) if kind == "dependency" else ()
        return Artifact(name, kind, path.stat().st_size, durable.sha256(path), own if set(own) != set(self.pythons) else ())


def manifest(app: str, version: str, commit: str, tag: str, epoch: int, parts: Parts, callable_: str, entry: str,
             found: Mapping[str, tuple[str, Path]], built: Mapping[str, str], sdist_tar: str, rollback_safe: bool = True) -> Release:
    """Made from nothing but its arguments, so that the same commit gives the same manifest. epoch: the commit's time.

    built: what made it, name -> version.  sdist_tar: sha256 of the sdist's tar before compression.
    """
    artifacts = tuple(parts.artifact(name, kind, path) for name, (kind, path) in sorted(found.items()))
    outside = tuple(parts.artifact(f"wheelhouse/{path.name}", "dependency", path) for path in sorted(parts.outside))
    created = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Release(app, Version(version), commit, tag, created, tuple(parts.pythons), artifacts, callable_, entry,
                   format=2 if rollback_safe else 3, built=dict(built), sdist_tar=sdist_tar, unvendored=outside, rollback_safe=rollback_safe)
