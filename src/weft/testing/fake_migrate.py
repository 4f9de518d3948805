"""The fake engine's migrations: it runs none, and remembers them as a real one does; and which releases nobody can go back from."""

from __future__ import annotations

from typing import Any

from weft.errors import Refused
from weft.host.migrate import DONE, digest
from weft.values import Release


class Migrates:
    """A part of the fake engine."""

    request: dict[str, Any]
    state: dict[str, Any]

    def migrate(self) -> dict[str, Any]:
        found = next((each for each in self.state["generations"] if each["number"] == self.request["generation"]), None)
        if not found:
            raise Refused(f"there is no generation {self.request['generation']} here")
        command = digest(self.request["site"]["migrate"]["command"])
        self.state.setdefault("migrated", []).insert(0, {"release": found["release"], "version": found["version"], "command": command, "result": DONE})
        return {"state": self.seen()}

    def note(self, release: Release) -> None:
        """What is remembered of a release that is staged."""
        self.state.setdefault("unsafe", []).extend([] if release.rollback_safe else [release.id])

    def remembered(self) -> dict[str, Any]:
        """Its part of `state`."""
        return {key: self.state.get(key, []) for key in ("migrated", "unsafe")}

    def seen(self) -> dict[str, Any]:
        raise AssertionError("the engine has it")
