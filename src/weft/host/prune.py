"""Remove what is no longer a way back. A failure is a warning: pruning never fails a deploy."""

from __future__ import annotations

import json

from weft.host import decide
from weft.host.layout import Layout
from weft.host.observe import names, read_json
from weft.host.state import HostState
from weft.host.work import remove
from weft.values import Release


def prune(layout: Layout, state: HostState) -> list[str]:
    """Old generations, releases that none of the rest needs, then layers and cached files. The warnings."""
    generations, releases, _kept = decide.prunable(state)
    warnings = []
    paths = [layout.generation(n) for n in generations] + [layout.release(n) for n in releases]
    paths += [layout.sealed_settings(n) for n in generations]
    for path in paths:
        try:
            remove(path)
        except OSError as error:
            warnings.append(f"could not remove {path}: {error.strerror}")
    return warnings + _unreferenced(layout)


def _unreferenced(layout: Layout) -> list[str]:
    layers, files, tools = set(), set(), set()
    for name in names(layout.root / "releases"):
        said = read_json(layout.release(name) / "manifest.json")
        if said:
            release = Release.from_json(json.loads(json.dumps(said)))
            layers.add(release.layer)
            files |= {a.sha256 for a in release.for_host()}
            tools |= {f"pip-{a.sha256[:12]}" for a in release.of_kind("installer")}
    warnings = []
    for folder, keep in ((layout.root / "layers", layers), (layout.cache, files), (layout.root / "tools", tools)):
        for name in set(names(folder)) - keep:
            try:
                remove(folder / name)
            except OSError as error:
                warnings.append(f"could not remove {folder / name}: {error.strerror}")
    return warnings
