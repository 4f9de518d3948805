"""What a sealed tree holds, file by file, so that drift can be named later."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

from weft import durable
from weft.host.layout import seal
from weft.typing import Any

LIST = "FILES.json"


def listing(tree: Path) -> dict[str, str]:
    """Relative path -> what is there: "-> target" of a link, else mode and sha256; directories have their mode only."""
    found = {}
    for folder, dirs, files in os.walk(tree):
        for name in [*dirs, *files]:
            path = Path(folder, name)
            relative = str(path.relative_to(tree))
            if relative not in (LIST, "SEAL"):
                found[relative] = _what(path)
    return found


def _what(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"-> {os.readlink(path)}"
    mode = f"{status.st_mode & 0o7777:o}"
    return f"{mode} {durable.sha256(path)}" if stat.S_ISREG(status.st_mode) else f"{mode} directory"


def close(place: Path, said: dict[str, Any]) -> None:
    """Make a tree durable and seal it; the seal is written last and holds the digest of the list."""
    text = json.dumps(listing(place), sort_keys=True, indent=0)
    durable.write(place / LIST, text, 0o444)
    durable.sync_tree(place)
    durable.write(seal(place), json.dumps({**said, "files": _digest(text)}, sort_keys=True) + "\n", 0o444)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def drift(place: Path) -> list[str]:
    """What is not as it was sealed, as "changed PATH", "missing PATH", "added PATH", "mode 666 (was 644) PATH"; the list itself is checked first."""
    try:
        text = (place / LIST).read_text()
        if json.loads(seal(place).read_text()).get("files") != _digest(text):
            return [f"changed {LIST}"]
    except (OSError, ValueError, AttributeError) as error:
        return [f"missing {LIST} or SEAL: {error}"]
    sealed, now = json.loads(text), listing(place)
    return [f"{_verb(sealed.get(path), now.get(path))} {path}" for path in sorted(set(sealed) | set(now))
            if sealed.get(path) != now.get(path)]


def _verb(before: str | None, after: str | None) -> str:
    if before is None or after is None:
        return "missing" if before else "added"
    (mode, *was), (now, *rest) = before.split(" "), after.split(" ")
    return f"mode {now} (was {mode})" if was == rest and mode != "->" else "changed"
