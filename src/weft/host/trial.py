"""The trial of a generation: from just before the flip until it is confirmed or undone, and what a crash makes of it.

trial.json says which generation is tried, what served before, and when it goes back by itself. Where it is lost, the generation's
record ("pending") and the other slot, which nobody changes during a trial, say the same. The confirmation is the write of last.json.
A trial that is held (ADR 18) ends with the fleet's lock that it was held for instead of at a time that was set before.
Every function works under the host's lock and needs nothing but what is on disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import time

from weft import durable
from weft.durable import read_json
from weft.host import fleetlock
from weft.host.boot import boot_id, now
from weft.host.layout import Layout
from weft.host.observe import names, slot_generation
from weft.servers import PLACES, RELEASE, SLOTS
from weft.typing import Any

UNHEARD = "the rollout that it was held for was heard of no more"
"""Why a held trial goes back. It is no fault of the release, which is what it was before: the next rollout finds it staged."""


def read(layout: Layout) -> dict[str, Any]:
    """The trial; {} where there is none or where it is not what weft wrote. deadline: of one that is held, as its lock is now."""
    said = read_json(layout.trial)
    numbers = all(isinstance(said.get(k), int) and not isinstance(said.get(k), bool) for k in ("generation", "previous"))
    slots = said.get("slot") in PLACES and said.get("previous_slot") in PLACES
    held = said.get("held", [])
    if not (numbers and slots and isinstance(said.get("deadline"), (int, float)) and isinstance(held, list) and len(held) in (0, 2)):
        return {}
    return {**said, "deadline": fleetlock.lives_until(layout.state, *held)} if held else said


def hold(layout: Layout, number: int, token: str) -> None:
    """From now on the trial lasts as long as that lock of the fleet is alive."""
    durable.write(layout.trial, json.dumps({**read(layout), "held": [number, token]}), 0o600, sync=False)  # of this boot alone, as the trial is


def seconds_left(trial: dict[str, Any]) -> float:
    """Until a trial goes back by itself; 0 for one from before a reboot."""
    if not trial or trial.get("boot") != boot_id():
        return 0.0
    return max(0.0, float(trial["deadline"]) - now())


def over(layout: Layout, grace: float = 0.0) -> bool:
    """Whether there is a trial whose time was up `grace` seconds ago, or one of an earlier boot."""
    trial = read(layout)
    return bool(trial) and (trial.get("boot") != boot_id() or now() > float(trial["deadline"]) + grace)


def live_slot(layout: Layout) -> str:
    """"a" or "b", or "before" (what set-up has adopted); "" before set-up."""
    slot = os.path.basename(os.readlink(layout.live)) if layout.live.is_symlink() else ""
    return slot if slot in PLACES else ""


def begin(layout: Layout, slot: str, generation: int, seconds: float) -> None:
    """Before the flip: what is tried and what served, then the record's "pending"; both say it, for one may be lost."""
    old = live_slot(layout)
    was = record(layout, generation).get("status", "")
    deadline = now() + seconds
    trial = {"generation": generation, "slot": slot, "was": was, "previous": slot_generation(layout, old), "previous_slot": old,
             "boot": boot_id(), "deadline": deadline, "id": f"{boot_id()[:8]}-{generation}-{os.urandom(6).hex()}"}
    durable.write(layout.trial, json.dumps(trial), 0o600, sync=False)  # of this boot alone; the record is what outlives it
    set_status(layout, generation, "pending", was=was, trial=trial["id"])


def go_back(layout: Layout, note: str) -> bool:
    """Undo a trial: the slot before serves, the generation is marked bad. Whether there was a trial.

    A generation that was good before stays a way back: what failed now may have been the moment. One that was never flipped
    to is what it was."""
    trial = read(layout)
    if not trial:
        return False
    flipped = live_slot(layout) == trial["slot"] or trial.get("ended")
    if flipped:
        with contextlib.suppress(OSError):  # only so that a crash in here is told from one before the flip
            durable.write(layout.trial, json.dumps({**trial, "ended": note}), 0o600, sync=False)
        _serve(layout, trial["previous_slot"])
        _mark(layout, trial["generation"], str(trial.get("was")), str(trial.get("ended") or note))
    else:
        _mark(layout, trial["generation"], str(trial.get("was")))
    _close(layout)
    return True


def _serve(layout: Layout, slot: str) -> None:
    durable.link(layout.live, f"slots/{slot}")
    durable.link(layout.root / "current", f"generations/{slot_generation(layout, slot)}", sync=False)


def _mark(layout: Layout, generation: int, was: str, note: str = "") -> None:
    """What a generation is after its trial ended without a confirmation. Its record may have been pruned by hand."""
    if not record(layout, generation):
        return
    after = "bad" if note not in ("", UNHEARD) and was != "good" else was or "staged"
    set_status(layout, generation, after, note)


def _close(layout: Layout) -> None:
    layout.trial.unlink(missing_ok=True)  # should it be there again after a power cut, it is settled as it was before


def confirm(layout: Layout, **also: Any) -> list[str]:
    """The generation on trial stays, from the write of last.json on. also: kept there with it; `reverts`, a generation that this
    one takes back, is marked "bad", or what `reverts_to` says. Warnings, where what follows could not be written: recovery does it."""
    trial = read(layout)
    durable.write(layout.last, json.dumps({**trial, **also}), 0o600)
    try:
        _finish(layout, read_json(layout.last))
    except OSError as error:
        return [f"confirmed, but its record could not be written yet: {error}; the next command does it"]
    return []


def _finish(layout: Layout, last: dict[str, Any]) -> None:
    set_status(layout, last["generation"], "good")
    if isinstance(last.get("reverts"), int) and record(layout, last["reverts"]):
        set_status(layout, last["reverts"], str(last.get("reverts_to", "bad")), "reverted")
    _close(layout)


def settle(layout: Layout) -> list[tuple[int, str]]:
    """What recovery does: (generation, what became of it) for each that a crash, a reboot or the time has settled."""
    trial, last = read(layout), read_json(layout.last)
    settled: list[tuple[int, str]] = []
    if trial:
        number = trial["generation"]
        if trial.get("id") and trial["id"] == last.get("id"):
            _finish(layout, last)
            settled = [(number, "its confirmation was completed")]
        elif trial.get("ended") or live_slot(layout) != trial["slot"] or seconds_left(trial) <= 0:
            note = _why(layout, trial)
            go_back(layout, note)
            settled = [(number, note)]
        else:
            return []
    # A power cut may bring back the note of an earlier trial in place of the last one's: the records are looked at in any case.
    return settled + _without_trial(layout, read_json(layout.last))


def _why(layout: Layout, trial: dict[str, Any]) -> str:
    if trial.get("ended"):
        return str(trial["ended"])
    if live_slot(layout) != trial["slot"]:
        return "the engine was ended before the switch"
    if trial.get("boot") != boot_id():
        return "the host was started anew before it was confirmed"
    return UNHEARD if trial.get("held") else "was not confirmed in time"


def _without_trial(layout: Layout, last: dict[str, Any]) -> list[tuple[int, str]]:
    """A pending record without a trial: trial.json was torn or lost, or a crash came between the two writes of `begin` or of the end."""
    live, settled = live_slot(layout), []
    for number in sorted(int(n) for n in names(layout.root / "generations") if n.isdigit()):
        said = record(layout, number)
        if said.get("status") != "pending":
            continue
        if said.get("trial") and said["trial"] == last.get("id"):
            _finish(layout, last)
            settled.append((number, "its confirmation was completed"))
        elif live and number == slot_generation(layout, live):
            settled += _rebuilt(layout, live, number, {**said, "last": last.get("generation")})
        else:
            _mark(layout, number, str(said.get("was", "")))
            settled.append((number, "it was never confirmed"))
    if os.path.lexists(layout.trial):
        _close(layout)
    return settled


def _rebuilt(layout: Layout, live: str, number: int, said: dict[str, Any]) -> list[tuple[int, str]]:
    """The trial once more, from the record and the other slot; then it is over."""
    other = _other(layout, live, said["last"])
    before = slot_generation(layout, other)
    if before == number or record(layout, before).get("status") != "good":
        return []
    trial = {"generation": number, "slot": live, "was": said.get("was", ""), "previous": before, "previous_slot": other,
             "boot": "", "deadline": 0.0, "id": said.get("trial", "")}
    durable.write(layout.trial, json.dumps(trial), 0o600)
    note = "the note of its trial was lost before it was confirmed"
    go_back(layout, note)
    return [(number, note)]


def _other(layout: Layout, live: str, last: Any) -> str:
    """The place that served before `live`. last: the generation that was confirmed last, for what has more than one other place."""
    if live not in SLOTS:
        return next((slot for slot in SLOTS if slot_generation(layout, slot) == last), "a")
    other = "b" if live == "a" else "a"
    return RELEASE if slot_generation(layout, other) == slot_generation(layout, RELEASE) else other


def record(layout: Layout, generation: int) -> dict[str, Any]:
    return read_json(layout.generation(generation) / "record.json")


def set_status(layout: Layout, generation: int, status: str, note: str = "", **more: Any) -> None:
    """Rewrite a generation's record, durably."""
    said: dict[str, Any] = {k: v for k, v in record(layout, generation).items() if k not in ("was", "trial")}
    said.update(status=status, **more)
    if note or status == "pending":
        said["note"] = note
    if status == "pending":
        said["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    durable.write(layout.generation(generation) / "record.json", json.dumps(said, sort_keys=True), 0o644)
