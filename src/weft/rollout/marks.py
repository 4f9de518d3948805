"""A version that hosts served and went back from by themselves is marked bad in the store, so that no other environment walks into it.

The mark is that of `inv yank`: a note beside the release that only adds, and the next index, signed where the project signs.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Sequence

from weft.config import load as config
from weft.errors import Refused, WeftError
from weft.rollout.hostrun import HostRun

WORD = "bad"


def blame(runs: Sequence[HostRun]) -> str:
    """Why the version is bad for everybody: a host served it, found it bad and went back, and none serves it now. "" where that is not so, such as
    where a connection was lost, a disk was full before the switch, or a hook failed. Pure."""
    if any(run.status in ("switched", "unknown", "stuck", "overtaken") for run in runs):
        return ""
    for run in runs:
        own = next((each for each in run.state.get("generations", ()) if each["number"] == run.generation), {})
        if run.status == "failed" and run.error and run.error.name == "failed-undone" and own.get("status") == WORD:
            return run.error.message.splitlines()[0]
    return ""


def mark(root: Path, store: Any, app: str, version: str, why: str) -> bool:
    """Mark it. Whether there is an index that could say so. Raises a WeftError where the store takes nothing, or nobody here may sign."""
    from weft.index import remembered
    from weft.release import indexing, sign
    from weft.simple import static
    project = config.project(root)
    if not store.index(app):
        return False
    shelf = indexing.Shelf(store, app, sign.signing(root, project), remembered(str(store), app), project["index_days"])
    if fault := sign.fault(shelf.signing):
        raise Refused(*fault)
    store.mark(app, version, WORD, why)
    indexing.renew(shelf, {version: {WORD: why}})
    with contextlib.suppress(WeftError):  # what pip sees; `inv index` mends it
        if store.pages():
            static.build(store)
    return True


def after(rollout: Any, error: WeftError) -> None:
    """Once a deploy has gone back: the error says whether its version is marked, or the warnings why not."""
    why = blame(rollout.runs) if rollout.job.verb == "deploy" and rollout.job.mark else ""
    if not why:
        return
    version = rollout.job.payload.release.version
    try:
        if rollout.job.mark(version, why):
            error.effect += f"; {version} is marked bad in the store, --force-bad deploys it all the same"
    except (WeftError, OSError) as trouble:
        said = trouble.message if isinstance(trouble, WeftError) else str(trouble)
        rollout.hooked.warnings.append(f"{version} could not be marked bad in the store: {said}; somebody who may can: inv yank --version {version} --why \"...\"")
