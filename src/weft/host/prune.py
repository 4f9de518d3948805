"""Remove what is no longer a way back. A failure is a warning: pruning never fails a deploy."""

from __future__ import annotations

import contextlib
from pathlib import Path

from weft import durable
from weft.durable import read_json
from weft.errors import WeftError
from weft.host import decide, kept
from weft.host.layout import Layout, seal
from weft.host.observe import names
from weft.host.state import HostState
from weft.host.work import remove
from weft.record import replace
from weft.servers.before import RELEASE as BEFORE
from weft.values import Release

NO_RELEASE = ("placeholder", BEFORE)


def prune(layout: Layout, state: HostState, keep: int = decide.KEEP) -> list[str]:
    """Old generations, releases that none of the rest needs, then layers and cached files without users. The warnings."""
    generations, releases, _kept = decide.prunable(state, keep)
    warnings = _remember(layout, state, generations)
    for number in generations:
        warnings += _take(layout.generation(number), layout.generation(number) / "record.json")
        warnings += _take(layout.sealed_settings(number))
    for name in releases:
        warnings += _take(layout.release(name), seal(layout.release(name)))
    left = replace(state, sealed=state.sealed - set(releases), kept=kept.listing(layout),
                   generations=tuple(g for g in state.generations if g.number not in generations))
    for name in decide.forgettable(left, keep):
        warnings += _take(kept.folder(layout) / f"{name}.json")
    return warnings + _unreferenced(layout)


def _remember(layout: Layout, state: HostState, generations: list[int]) -> list[str]:
    """What the last generation of a release came to, before its record goes: a rollback from the cache asks for it."""
    warnings: list[str] = []
    last = {each.release: each for each in reversed(state.generations) if each.number in generations}
    last.update({each.release: each for each in reversed(state.generations) if each.number in generations and each.status == "good"})
    for release, generation in last.items():
        try:
            kept.note(layout, release, generation)
        except OSError as error:
            warnings.append(f"could not note what {release} came to: {error.strerror}")
    return warnings


def _take(path: Path, first: Path | None = None) -> list[str]:
    """Remove it; `first` is what makes it count, so that a crash in the middle leaves nothing that passes for whole."""
    try:
        if first is not None and first.exists():
            first.unlink()
            durable.fsync_dir(first.parent)
        remove(path)
    except OSError as error:
        return [f"could not remove {path}: {error.strerror}"]
    return []


def _unreferenced(layout: Layout) -> list[str]:
    """Layers, cached files and tools of no release. Where a release cannot say what it needs, all of them stay."""
    layers: set[str] = set()
    files = {digest for each in kept.listing(layout) for digest in each.files}
    tools: set[str] = set()
    for name in names(layout.root / "releases"):
        if name in NO_RELEASE:
            continue
        release = _manifest(layout, name)
        if release is None:
            return [f"the manifest of {layout.release(name)} cannot be read: no layer and no cached file was removed"]
        layers.add(release.layer)
        files |= {a.sha256 for a in release.for_host()}
        tools |= {f"pip-{a.sha256[:12]}" for a in release.of_kind("installer")}
    warnings = []
    for folder, keep in ((layout.root / "layers", layers), (layout.cache, files), (layout.root / "tools", tools)):
        for name in sorted(set(names(folder)) - keep):
            warnings += _take(folder / name, seal(folder / name) if (folder / name).is_dir() else None)
    return warnings


def _manifest(layout: Layout, name: str) -> Release | None:
    """Of an installed release; from the host's own copy where the one in the tree is damaged."""
    with contextlib.suppress(WeftError, TypeError, ValueError):
        found = Release.from_json(read_json(layout.release(name) / "manifest.json"))
        if found.id == name:
            return found
    with contextlib.suppress(WeftError):
        return kept.load(layout, name)[0]
    return None
