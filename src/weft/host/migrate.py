"""A release's database migration: one command, on one host for all, in the release's virtualenv and settings, as the application's own account.

Which command that is, set-up has said: an account that may only deploy does not choose what runs here. What was run is remembered, from before it
begins, so that the same release and command run once, and once more where nobody knows how they ended.
"""

from __future__ import annotations

import hashlib
import json
import time

from weft import durable
from weft.errors import FailedUndone, Refused
from weft.host import decide, launch
from weft.host.commands import CommandFailed, run as execute
from weft.host.layout import Layout
from weft.host.state import HostState
from weft.journal import Journal
from weft.plan import canonical
from weft.typing import Any, Sequence
from weft.values import Generation

FILE = "migrations.json"
MEMORY = 50
"""How many are remembered."""
BEGUN, DONE, FAILED = "begun", "done", "failed"


def digest(command: Sequence[str]) -> str:
    """What tells one command from another in a record, which everybody may see."""
    return hashlib.sha256(canonical(list(command)).encode()).hexdigest()[:12]


def records(layout: Layout) -> tuple[dict[str, str], ...]:
    """The last ones, the newest first: release, version, command (a digest), result, by, at."""
    try:
        said = json.loads((layout.state / FILE).read_text())
    except (OSError, ValueError):
        return ()
    return tuple({str(key): str(value) for key, value in each.items()} for each in said if isinstance(each, dict)) if isinstance(said, list) else ()


def owed(site: Any, state: HostState, generation: Generation) -> list[str]:
    """What a person is warned of who switches this host alone: that no migration is known here. Another host may have run it for all. Pure."""
    same = {"release": generation.release, "command": digest(site.migrate["command"]), "result": DONE} if site.migrate else {}
    if not same or any(same.items() <= each.items() for each in state.migrated):
        return []
    return [f"no migration of the database for {generation.version} is known on this host, and this command runs none: fab deploy does, once for all hosts"]


def answer(machine: Any) -> dict[str, Any]:
    """What the verb does, with the host's lock held. Raises Refused before anything was run; FailedUndone for a command that failed: nothing is switched, but the database may be another."""
    with machine.locked():
        return _run(machine, machine.state())


def _run(machine: Any, state: HostState) -> dict[str, Any]:
    site, generation = machine.site, state.generation(machine.request.generation)
    machine.on_trial(state)  # nobody could undo it while this has the host's lock
    if not generation or not decide.there(state, generation):
        raise Refused(f"there is no generation {machine.request.generation} here", "stage it first")
    if not site.migrate:
        raise Refused("this host was set up without a migration", f"run `{machine.layout.setup_command}` for this host")
    note = {"release": generation.release, "version": generation.version, "command": digest(site.migrate["command"]), "by": machine.request.by}
    start = time.monotonic()
    _remember(machine.layout, {**note, "result": BEGUN})
    try:
        _execute(machine, generation)
    except CommandFailed as error:
        _remember(machine.layout, {**note, "result": FAILED})
        _history(machine, generation, "failed", start)
        raise FailedUndone(error.message, error.hint or "mend it and what it left in the database, then run the same command again",
                           f"nothing was switched, but the database may have changed; {machine.served()}", error.details) from None
    _remember(machine.layout, {**note, "result": DONE})
    _history(machine, generation, "done", start)
    return {"state": machine.state().to_json()}


def _execute(machine: Any, generation: Generation) -> None:
    layout, site = machine.layout, machine.site
    place = layout.generation(generation.number)
    argv = [each.replace("{settings}", str(place / "settings.ini")) for each in site.migrate["command"]]
    execute(launch.vector(layout.app, place, argv), f"the migration to {generation.version} failed", layout, site.account, site.migrate["timeout"], launch.own({}))


def _remember(layout: Layout, note: dict[str, str]) -> None:
    same = ("release", "command")
    others = [each for each in records(layout) if any(each.get(key) != note[key] for key in same)]
    said = [{**note, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, *others]
    durable.write(layout.state / FILE, json.dumps(said[:MEMORY], sort_keys=True), 0o600)


def _history(machine: Any, generation: Generation, result: str, start: float) -> None:
    Journal(machine.layout.state / "history.jsonl").append(
        "migrate", by=machine.request.by, generation=generation.number, version=generation.version, result=result, seconds=round(time.monotonic() - start, 2))
