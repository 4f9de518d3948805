"""The fleet's lock as one host keeps it: who rolls out this application, since when and why, and the number that fences off whoever had it before.

No server keeps it: every host of a rollout has the same record, and refuses an order with a lower number than it has seen. That is what stops
an operator who was stalled while somebody else went on. A beat on the boot clock, which nobody can set, keeps it alive; without one it is stale
after a minute. A freeze is the same lock, and never goes stale.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path

from weft import durable
from weft.errors import Refused
from weft.host import boot
from weft.record import record
from weft.typing import Any, Callable, Iterator
from weft.values import when

STALE = 60.0
"""Seconds without a beat after which somebody else may take it."""
ORDERS = ("stage", "migrate", "activate", "rollback", "confirm", "revert", "undeploy", "enable", "disable")
"""The requests that need it; looking never does."""
MEMORY = 8
"""How many released locks are remembered, for hosts that were not told of their end."""
ACTS = ("take", "release", "freeze", "pause")
_LOCK, _BEAT, _PAUSE = "fleet-lock.json", "fleet-beat.json", "fleet-pause.json"
_TOKEN = re.compile(r"[0-9a-f]{8,64}")
_KEYS = {"number", "token", "why", "env", "act", "after"}


@record(frozen=True)
class Ask:
    """What an order says of the lock. act: one of ACTS; "release" counts once the order is done, "pause" asks who has it to stand still, and `why` is who asks.
    after: number and token of a lock that the sender has seen released on another host."""

    number: int
    token: str
    why: str = ""
    env: str = ""
    act: str = "take"
    after: tuple[int, str] | None = None


@record(frozen=True)
class Record:
    """The last lock that this host has seen; number 0: none yet. age: seconds since its last beat. since: UTC, for people only.
    earlier: number and token of those before it that are known to have been released. pause: who asked its rollout to pause, "" for nobody."""

    number: int = 0
    token: str = ""
    owner: str = ""
    why: str = ""
    env: str = ""
    since: str = ""
    freeze: bool = False
    released: bool = False
    age: float = 0.0
    earlier: tuple[tuple[int, str], ...] = ()
    pause: str = ""

    def live(self, stale: float = STALE) -> bool:
        """Whether it is somebody's."""
        return self.number > 0 and not self.released and (self.freeze or self.age <= stale)

    @property
    def over(self) -> tuple[tuple[int, str], ...]:
        """Locks that have been released, the newest first: this one, and those before it."""
        return (*([(self.number, self.token)] if self.released else []), *self.earlier)[:MEMORY]

    def is_of(self, ask: Ask) -> bool:
        return (self.number, self.token) == (ask.number, ask.token)


def parse(value: Any, verb: str = "") -> Ask | None:
    """What a request says, checked. Raises Refused."""
    if value is None and verb != "lock":
        return None
    if not isinstance(value, dict) or set(value) - _KEYS or not {"number", "token"} <= set(value):
        raise Refused('lock is not {"number": …, "token": …, "why": …, "env": …}')
    after = value.get("after")
    if after is not None and not (isinstance(after, list) and len(after) == 2):
        raise Refused("lock: after is not [number, token]")
    for number, token in [(value["number"], value["token"]), *([after] if after else [])]:
        if type(number) is not int or not 0 < number < 1 << 53 or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Refused("lock: its number is no whole number from 1 on, or its token is none")
    act = value.get("act", "take")
    if act not in ACTS:
        raise Refused(f"lock: act {act!r} is unknown; known: {', '.join(ACTS)}")
    if act in ("freeze", "pause") and verb != "lock":
        raise Refused(f"lock: {verb} {act}s nothing")
    return Ask(value["number"], value["token"], _text(value.get("why")), _text(value.get("env")), act, tuple(after) if after else None)


def _text(value: Any) -> str:
    """One line for people, without what a terminal would obey."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(value or ""))).strip()[:200]


def judge(record: Record, ask: Ask | None, stale: float = STALE) -> Refused | None:
    """Why an order may not be carried out, None where it may. Without a lock of its own it may where nobody has one. Pure."""
    if ask is None:
        return refusal(shown(record, stale)) if record.live(stale) else None
    if record.is_of(ask):
        return None
    if ask.number < record.number:
        return _refused(f"the lock of this rollout was taken over by {_who(record)}", "fab status", record, stale, fenced=True)
    if record.live(stale) and (record.freeze or ask.after != (record.number, record.token)):
        return refusal(shown(record, stale))
    if ask.number == record.number and ask.token < record.token:  # two saw the same; of those the higher one goes on, never back
        return _refused(f"{_who(record)} was faster", "run the same command again", record, stale)
    return None


def refusal(lock: dict[str, Any]) -> Refused:
    """For a lock that is somebody's, as `shown` tells it."""
    if lock["freeze"]:
        return Refused(f"frozen by {lock['owner']} since {when(lock['since'])}: {lock['why']}", "when it may go on again: fab unlock", "", {"lock": lock, "fenced": False})
    return Refused(f"locked by {lock['owner']} ({lock['why']}) since {when(lock['since'])}",
                   f"wait until that has ended (--lock-wait SECONDS does); {STALE:.0f} s after its operator was last heard of, it is free",
                   "", {"lock": lock, "fenced": False})


def _who(record: Record) -> str:
    return f"{record.owner} ({record.why}) at {when(record.since)}"


def _refused(message: str, hint: str, record: Record, stale: float, fenced: bool = False) -> Refused:
    return Refused(message, hint, "", {"lock": shown(record, stale), "fenced": fenced})


def shown(record: Record, stale: float = STALE) -> dict[str, Any]:
    """For `state`: {} where no lock was ever taken."""
    if not record.number:
        return {}
    said = {**record.__dict__, "age": round(record.age, 1), "live": record.live(stale), "over": [list(each) for each in record.over]}
    del said["earlier"]
    return said


def read(place: Path) -> Record:
    """What the host's state directory says. The beat counts for the lock that it is of; one of an earlier boot was as long ago as the boot is."""
    said, beat, pause = durable.read_json(place / _LOCK), durable.read_json(place / _BEAT), durable.read_json(place / _PAUSE)
    if type(said.get("number")) is not int or not isinstance(said.get("at"), (int, float)):
        return Record()
    heard = beat if (beat.get("number"), beat.get("token")) == (said["number"], said.get("token")) else said
    age = boot.now() - heard["at"] if heard.get("boot") == boot.boot_id() and isinstance(heard.get("at"), (int, float)) else boot.now()
    text = {key: str(said.get(key, "")) for key in ("token", "owner", "why", "env", "since")}
    earlier = tuple((each[0], each[1]) for each in said.get("earlier", ()))
    asked = str(pause.get("by", "")) if (pause.get("number"), pause.get("token")) == (said["number"], said.get("token")) else ""
    return Record(said["number"], **text, earlier=earlier, pause=asked, freeze=bool(said.get("freeze")), released=bool(said.get("released") or heard.get("released")), age=max(0.0, age))


def lives_until(place: Path, number: int, token: str, stale: float = STALE) -> float:
    """When, on the boot clock, a lock is dead if nobody is heard of any more: what is held for it goes back then. In the past for one that was
    released, or that another has taken the place of."""
    record = read(place)
    alive = (record.number, record.token) == (number, token) and not record.released
    return boot.now() - record.age + (stale if alive else 0.0)


# -- acting ------------------------------------------------------------------------------------------------------------


def check(place: Path, request: Any, tell: Callable[[dict[str, Any]], None] | None = None, stale: float = STALE) -> None:
    """Raises Refused for an order that may not be carried out. `request` has verb, lock, by and here.

    Words of root on the host itself take precedence: whose lock that is, is told."""
    if request.verb not in (*ORDERS, "lock"):
        return
    record = read(place)
    if request.here:
        if tell and record.live(stale) and request.verb in ("stage", "activate", "rollback"):
            tell({"event": "log", "text": f"note: {refusal(shown(record, stale)).message}; what is typed on the host goes before it"})
        return
    refused = judge(record, request.lock, stale)
    if refused:
        raise refused


@contextlib.contextmanager
def order(place: Path, request: Any, tell: Callable[[dict[str, Any]], None], stale: float = STALE) -> Iterator[None]:
    """Around what an order does, under the host's own lock: taken or renewed before it, released after it where it says so."""
    check(place, request, tell, stale)
    ask = request.lock if request.verb in (*ORDERS, "lock") else None
    if ask:
        try:
            _take(place, ask, request.by)
        except OSError:
            if request.verb not in ("confirm", "revert"):  # what ends a trial well is not given up for a note on a full disk
                raise
    yield
    if ask and ask.act == "release":
        beat(place, ask, released=True)


def _take(place: Path, ask: Ask, by: str) -> None:
    """The record is durable before anything is done under it; a beat is of this boot alone."""
    before = read(place)
    if before.is_of(ask) and ask.act != "freeze":
        return beat(place, ask)
    earlier = (*([ask.after] if ask.after else []), *before.over)[:MEMORY]
    said = {"number": ask.number, "token": ask.token, "owner": by, "why": ask.why, "env": ask.env, "freeze": ask.act == "freeze",
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "boot": boot.boot_id(), "at": boot.now(), "earlier": earlier}
    durable.write(place / _LOCK, json.dumps(said), 0o600)


def beat(place: Path, ask: Ask, released: bool = False) -> None:
    """The lock was alive now, or is over. A disk that is full takes no beat: then it goes stale."""
    said = {"number": ask.number, "token": ask.token, "boot": boot.boot_id(), "at": boot.now(), **({"released": True} if released else {})}
    with contextlib.suppress(OSError):
        durable.write(place / _BEAT, json.dumps(said), 0o600, sync=False)


def renewed(place: Path, ask: Ask) -> bool:
    """Whether a heartbeat or a release is done already. Neither waits for the host's own lock, which a long stage has; a late beat
    brings no lock back that was released."""
    record = read(place)
    if ask.act == "pause":  # noted also where that rollout has not come yet: the lock that it takes then is asked already
        durable.write(place / _PAUSE, json.dumps({"number": ask.number, "token": ask.token, "by": ask.why}), 0o600)
        return True
    if ask.act == "freeze" or not record.is_of(ask):
        return ask.act == "release"
    if ask.act == "release" and record.freeze:
        durable.write(place / _LOCK, json.dumps({**durable.read_json(place / _LOCK), "released": True}), 0o600)
    elif not record.released:
        beat(place, ask, released=ask.act == "release")
    return True
