"""What proves a release: its bill of materials, what built it, its place in the index. And taking one back, and checking an old one."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import platform
import re
import zipfile
from pathlib import Path
from typing import Any, Sequence

from weft import __version__
from weft.errors import Refused, UsageError, WeftError
from weft.index import Sealed, remembered, trusted_manifest
from weft.release import indexing, sbom, sign
from weft.release.observe import Project
from weft.simple import static
from weft.release.target import targets
from weft.values import Release, Version


def bill(place: Path, project: Project, version: str, commit: str, epoch: int, wheel: Path, wheels: Sequence[Path]) -> Path:
    """Write sbom.json in `place`."""
    path = place / "sbom.json"
    path.write_text(sbom.text(project.app, version, commit, epoch, wheel, wheels, [each.environment for each in targets(project.config)]), encoding="utf-8")
    return path


def builders(wheel: Path) -> dict[str, str]:
    """The versions of what made a release; the backend's as it wrote it into the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        said = re.search(r"^Generator: *(.+)$", archive.read(name).decode("utf-8"), re.M)
    return {"weft": __version__, "python": platform.python_version(), "build": importlib.metadata.version("build"),
            "backend": said[1].strip() if said else "unknown"}


def tar_digest(archive: Path) -> str:
    """sha256 of the sdist before compression: equal for equal contents, whichever zlib packed it."""
    found = hashlib.sha256()
    with gzip.open(archive, "rb") as unpacked:
        for block in iter(lambda: unpacked.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def shelf(project: Project) -> indexing.Shelf:
    """Where the project's index is, and how it is signed."""
    config = project.config
    if config["index_days"] < 1:
        raise config.wrong("index_days", "must be 1 or more: an index that has expired is believed by no host")
    return indexing.Shelf(project.store, project.app, sign.signing(project.root, config), remembered(str(project.store), project.app),
                          config["index_days"])


def name_it(project: Project, version: str) -> None:
    """Have pip find a version, then renew the index, so that it names it: once it does, all is there. Raises Refused where it cannot."""
    static.build(project.store)
    renewed = indexing.renew(shelf(project))
    if version in renewed.left:
        raise Refused(f"the index does not take {version}: {renewed.left[version]}", "see [tool.weft] signing_key and deploy/allowed_signers")


def take_back(project: Project, version: str, why: str, word: str = "yanked") -> indexing.Renewed:
    """`inv yank`: mark a version, for whoever reads the store and, signed, for hosts. Nothing is deleted.

    Raises UsageError without a reason, Refused for a version that is not there or a key that does not sign.
    """
    if not why.strip():
        raise UsageError("why? A version is taken back for a reason that operators are shown", f'inv yank --version {version} --why "loses orders"')
    chosen = able(project)
    project.store.manifest(project.app, Version(version))
    project.store.mark(project.app, version, word, why.strip())
    renewed = indexing.renew(chosen, {version: {word: why.strip()}})
    static.build(project.store)
    return renewed


def able(project: Project) -> indexing.Shelf:
    """The project's shelf. Raises Refused where its key does not sign."""
    chosen = shelf(project)
    fault = sign.fault(chosen.signing)
    if fault:
        raise Refused(*fault)
    return chosen


def check(project: Project, version: str) -> dict[str, Any]:
    """`inv verify`: the store's bytes, the manifest, its signature, the tag and the index. Raises Refused listing every fault."""
    store, app = project.store, project.app
    release: Release = store.manifest(app, Version(version))
    faults = [*store.verify(app, version), *_tar(project, release), *_tag(project, release)]
    faults += [f"the package index does not offer {name} with its bytes; `inv index` mends it" for name in static.missing(store, release)]
    chosen = shelf(project)
    signed = _told(faults, lambda: _signature(chosen, release))
    marks = _told(faults, lambda: _index(chosen, release)) or {}
    if faults:
        raise Refused("\n".join([f"{app} {version} is not what was released:", *(f"  {each}" for each in faults)]),
                      "put the right files back, or release a new version; nobody should install these", details=faults)
    return {"app": app, "version": version, "commit": release.commit, "tag": release.tag, "files": len(release.artifacts),
            "signed": signed, "built": dict(release.built), "marks": marks}


def _told(faults: list[str], look: Any) -> Any:
    try:
        return look()
    except WeftError as error:
        faults.append(error.message)
        return None


def _tar(project: Project, release: Release) -> list[str]:
    """The sdist's contents, where the manifest says them."""
    if not release.sdist_tar:
        return []
    sdist = release.of_kind("sdist")[0]
    with project.store.open(project.app, release.version, sdist) as packed, gzip.open(packed) as unpacked:
        found = hashlib.sha256()
        try:
            for block in iter(lambda: unpacked.read(1 << 20), b""):
                found.update(block)
        except (OSError, EOFError):
            return [f"{sdist.name} cannot be unpacked"]
    return [] if found.hexdigest() == release.sdist_tar else [f"{sdist.name} holds other files than the manifest says"]


def _tag(project: Project, release: Release) -> list[str]:
    repo, config = project.repo, project.config
    state = repo.state()
    remote = repo.remote(config["remote"] or repo.usual, state.branch) if state.branch else None
    tags = state.tags if remote is None or remote.error else remote.tags
    found = tags.get(release.tag)
    return [] if found == release.commit else [f"the tag {release.tag} is {found or 'not there'}, the manifest says {release.commit}"]


def _signature(chosen: indexing.Shelf, release: Release) -> str:
    """Who signed; "" where the project knows no signers."""
    signers = chosen.signing.signers
    if not signers:
        return ""
    raw = chosen.store.manifest_bytes(release.app, release.version).decode("utf-8")
    signed = trusted_manifest(raw, chosen.store.signature(release.app, release.version), release.created,
                              f"{release.app} {release.version}", signers)
    return f"{signed.by} ({signed.key})"


def _index(chosen: indexing.Shelf, release: Release) -> dict[str, str]:
    """The marks that the index has for it."""
    raw = chosen.store.index(release.app)
    if not raw:
        raise Refused(f"there is no index of {release.app}; `inv index` writes it")
    sealed = Sealed.from_bytes(raw)
    index = sealed.verified(release.app, chosen.signing.signers) if chosen.signing.signers else sealed.own(release.app)
    if not indexing.names(chosen.store, release.app, release.version):
        raise Refused(f"the index (serial {index.serial}) does not name this manifest of {release.version}")
    return {word: why for word, why in index.versions[release.version].items() if word != "manifest"}
