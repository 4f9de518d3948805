"""Compare everything sealed with what it was when it was sealed. Reads only, and reads it all."""

from __future__ import annotations

from weft.host import sealing
from weft.host.layout import Layout, seal
from weft.host.observe import names


def audit(layout: Layout) -> dict[str, list[str]]:
    """Drift by tree: "releases/1.1.4-3f9a2c" -> ["changed venv/lib/...", ...]; a tree that is as it was has an empty list."""
    found = {}
    for folder in ("releases", "layers", "tools"):
        for name in sorted(names(layout.root / folder)):
            place = layout.root / folder / name
            if seal(place).exists():
                found[f"{folder}/{name}"] = sealing.drift(place)
    return found
