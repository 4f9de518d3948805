"""Which dependencies' wheels lie in the store, and which are only locked by hash, for the operator's side to fetch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from weft.errors import Refused, UsageError
from weft.release.names import normal
from weft.release.target import listed

if TYPE_CHECKING:  # a refusal and a plan need nothing of what makes a lock
    from weft.release.lock import Locked

ALL, NONE = "all", "none"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Split:
    """inside: wheels for the store.  outside: those that stay on the index.  forced: names inside that nobody asked for: no index has their wheel."""

    inside: Sequence[Path]
    outside: Sequence[Path]
    forced: Sequence[str]

    @property
    def warning(self) -> str:
        """What is to be said of it; "" for nothing."""
        if not self.forced:
            return ""
        one = len(self.forced) == 1
        return (f"vendored all the same: {listed(self.forced)}; the index has no wheel of {'it' if one else 'them'}, and no host builds: "
                f"{'it was' if one else 'they were'} built here, once")


def words(said: Sequence[str]) -> tuple[str, ...]:
    """What --vendor or the key `vendor` names, as normal names; (ALL,) or (NONE,). Raises UsageError."""
    found = tuple(dict.fromkeys(each.strip() for each in said))
    wrong = [each for each in found if not _NAME.fullmatch(each)]
    if wrong or not found:
        raise UsageError(f"vendor: {wrong[0]!r} is not a package's name" if wrong else "vendor: which?", "all, none, or names such as flask,jinja2")
    if len(found) > 1 and {ALL, NONE} & set(found):
        raise UsageError(f"vendor: {', '.join(found)}: all and none stand alone", "all, none, or names such as flask,jinja2")
    return tuple(each if each in (ALL, NONE) else normal(each) for each in found)


def said(vendor: Sequence[str]) -> str:
    """As --vendor takes it."""
    return ",".join(_shown(each) for each in vendor)


def told(vendor: Sequence[str]) -> str:
    """For the plan; "" where all is vendored."""
    if tuple(vendor) == (ALL,):
        return ""
    inside = "no wheels" if tuple(vendor) == (NONE,) else f"of the wheels {listed([_shown(each) for each in vendor])}"
    return f"; the store gets {inside}, the others are locked by hash and fetched by `fab deploy`"


def unknown(vendor: Sequence[str], locked: Sequence[str]) -> list[str]:
    """The names that are none of what is locked."""
    return [] if vendor[0] in (ALL, NONE) else sorted(_shown(each) for each in set(vendor) - set(locked))


def known(locked: Sequence[str]) -> str:
    return ", ".join(sorted(_shown(each) for each in locked)) or "nothing"


def _shown(name: str) -> str:
    return name.replace("_", "-")


def split(locked: Locked, vendor: Sequence[str]) -> Split:
    """Raises Refused for a name that is not locked."""
    lacking = unknown(vendor, sorted(locked.names))
    if lacking:
        raise Refused(f"vendor: {', '.join(lacking)}: not among the dependencies", f"all, none, or of: {known(sorted(locked.names))}")
    inside, outside, forced = [], [], set()
    for path in locked.wheels:
        name = normal(path.name.split("-")[0])
        wished = vendor[0] == ALL or name in vendor
        (inside if wished or path.name in locked.built else outside).append(path)
        forced |= {_shown(name)} if path.name in locked.built and not wished else set()
    return Split(inside, outside, sorted(forced))
