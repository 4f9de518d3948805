"""`fab enable` and `fab disable`: the site into its server and out of it, on all hosts at once, under the fleet's lock."""

from __future__ import annotations

from typing import Any

from weft.errors import NeedsHands
from weft.rollout.environment import Environment
from weft.rollout.run import Progress
from weft.rollout.undeploy import Undeploy


class Switch(Undeploy):
    """`look`, then `order`. verb: "enable" or "disable"."""

    def __init__(self, environment: Environment, progress: Progress, verb: str):
        super().__init__(environment, progress, verb)

    def _failed(self, errors: list[Any]) -> Any:
        said = super()._failed(errors)
        if isinstance(said, NeedsHands):
            said.effect = "on some hosts it was done: " + (", ".join(self.results) or "not known on which")
        return said
