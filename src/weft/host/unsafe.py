"""Pure: which releases a way back crosses that nobody can go back from, for what they left (such as a migrated database) may not suit what was before."""

from __future__ import annotations

from weft.typing import Any, Mapping

FORCE = "--force-unsafe"


def crossed(state: Mapping[str, Any], to: str, back: bool = True) -> list[str]:
    """The versions with rollback_safe = false among what was served since version `to`, the live one first. state: as the protocol has it.

    back: whether it surely is a way back. Else a version that was not served before the live one is a way forward, and crosses none."""
    known, unsafe = {each["number"]: each for each in state.get("generations", ())}, set(state.get("unsafe", ()))
    found: list[str] = []
    seen: set[int] = set()
    at = known.get(state.get("live"))
    while at and at["number"] not in seen:
        if at["version"] == to:
            return found
        seen.add(at["number"])
        if at["release"] in unsafe:
            found.append(str(at["version"]))
        at = known.get(at["previous"])
    return list(dict.fromkeys(found)) if back else []


def why(versions: list[str]) -> str:
    """What is said of them."""
    return f"{', '.join(versions)} {'is' if len(versions) == 1 else 'are'} not rollback_safe: what was served before may not work with what {'it has' if len(versions) == 1 else 'they have'} left"
