"""A small real engine for tests: the protocol over standard input and output, its state in a directory, no server.

    python -m weft.testing.fake_engine --prefix DIR

It keeps generations, receives and checks files, goes back by itself when a pending generation is not confirmed in time,
and refuses what the real one refuses. What it serves is a line of its state. Failures are ordered by a file,
DIR/orders.json, a list that is used up from the front:

    {"verb": "activate", "error": {"error": "failed-undone", "message": "…"}}   answer that error, having undone all
    {"verb": "activate", "die": "before"}                  end without an answer, nothing done ("after": having done it)
    {"verb": "stage", "sleep": 2.0}                        be slow, then go on
    {"verb": "observe", "faults": [{"message": "…", "next": "…"}]}
    {"verb": "confirm", "complain": "…", "exit": 1}        write to standard error instead of answering
    {"verb": "activate", "ill": true}                      from now on the site answers 502
    {"verb": "observe", "window": {"traffic": "…"}}        what is said of the seconds before, where that is asked

DIR/log gets a line a request: its verb, and when it started and ended. DIR/stale: seconds after which the fleet's lock is stale here.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from weft import __version__
from weft.errors import FailedUndone, Refused, WeftError, from_json
from weft.host import fleetlock
from weft.plan import Plan, Step
from weft.testing.fake_migrate import Migrates
from weft.testing.fake_request import COMMON, VERBS, parse, ready_plan, window
from weft.testing.fake_state import go_back, over, record
from weft.testing.fake_talk import Talk
from weft.values import Release

PYTHON = "3.11"
"""Of every host."""


class FakeEngine(Talk, Migrates):
    """One host. prefix: its directory, made if it is not there."""

    def __init__(self, prefix: Path, stream: BinaryIO, say: Any):
        self.prefix, self.stream, self.say = prefix, stream, say
        (prefix / "files").mkdir(parents=True, exist_ok=True)
        self.request: dict[str, Any] = {}
        self.order: dict[str, Any] = {}
        self.state: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Answer the request that stands in the stream."""
        self.request = parse(self.stream.readline())
        self.order = self._order(self.request["verb"])
        self._trouble("before")
        if self.request["verb"] in ("logs", "run"):
            self.state = self._load()
            return self.logs() if self.request["verb"] == "logs" else self.command(self._live()["version"] if self.state["live"] else "")
        asked, stale = self._asked()
        if asked.verb == "lock" and fleetlock.renewed(self.prefix, asked.lock):
            return self.lock()
        with (self.prefix / "lock").open("w") as lock:
            fleetlock.check(self.prefix, asked, None, stale)
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.state = self._load()  # before the order, which keeps the lock alive
            with fleetlock.order(self.prefix, asked, self.say, stale):
                result = getattr(self, self.request["verb"])()
                self._save()
        self._trouble("after")
        return result

    def _asked(self) -> tuple[SimpleNamespace, float]:
        path = self.prefix / "stale"
        asked = SimpleNamespace(verb=self.request["verb"], by=self.request["by"], here=False, lock=fleetlock.parse(self.request.get("lock"), self.request["verb"]))
        return asked, float(path.read_text()) if path.exists() else fleetlock.STALE

    def _lock(self) -> dict[str, Any]:
        return fleetlock.shown(fleetlock.read(self.prefix), self._asked()[1])

    def lock(self) -> dict[str, Any]:
        """The fleet's lock is real: what it was asked for is done around this."""
        return {"lock": self._lock()}

    def _order(self, verb: str) -> dict[str, Any]:
        path = self.prefix / "orders.json"
        orders = json.loads(path.read_text()) if path.exists() else []
        mine = next((each for each in orders if each["verb"] == verb), {})
        if mine:
            orders.remove(mine)
            path.write_text(json.dumps(orders))
        return mine

    def _trouble(self, when: str) -> None:
        if self.order.get("die") == when:
            os._exit(77)
        if when == "before":
            time.sleep(self.order.get("sleep", 0))
            if "ill" in self.order:
                (self.prefix / "ill").touch()
            if "complain" in self.order:
                print(self.order["complain"], end="", file=sys.stderr, flush=True)
                os._exit(self.order.get("exit", 1))
            if "error" in self.order:
                raise from_json(self.order["error"])

    def _load(self) -> dict[str, Any]:
        path = self.prefix / f"{self.request['app']}.json"
        state = json.loads(path.read_text()) if path.exists() else {
            "set_up": False, "live": None, "generations": [], "trial": None}
        if over(state["trial"], self.prefix, self._asked()[1]):
            go_back(state, *(["rollout unheard", "staged"] if state["trial"].get("held") else ["not confirmed in time"]))
        return state

    def _save(self) -> None:
        path = self.prefix / f"{self.request['app']}.json"
        path.with_suffix(".new").write_text(json.dumps(self.state))
        path.with_suffix(".new").rename(path)

    def setup(self) -> dict[str, Any]:
        did = [] if self.state["set_up"] else ["prepared the directories", "wrote the site"]
        if not self.state["set_up"]:
            placeholder = record(0, "placeholder", "", "good", self.request["by"], 0)
            self.state.update(set_up=True, live=0, generations=[placeholder])
        return {"did": did, "state": self.seen()}

    def observe(self) -> dict[str, Any]:
        faults = list(self.order.get("faults", []))
        if not self.state["set_up"]:
            faults.append({"message": f"{self.request['app']} has not been set up here", "next": "fab setup"})
        release, rollback = self._release(), self.request.get("rollback")
        plan, missing, way = None, [], {}
        if not faults and rollback and rollback["to"] and not self._can(rollback["to"]):
            way = {"from": "store", "to": rollback["to"]}
            faults.append({"message": f"there is no good generation of {rollback['to']} to go back to", "next": ""})
        elif not faults and rollback:
            plan = self._plan(self._target(rollback["to"])["release"], ["switch back"]).to_json()
        elif not faults and release:
            wanted = release
            missing = self._missing(wanted)
            if self._live().get("release") != wanted.id:
                texts = [f"receive {len(missing)} files", f"install {wanted.app} {wanted.version}"]
                plan = (ready_plan(self.state, self.prefix.name, wanted.id) or self._plan(wanted.id, [*texts, "switch"])).to_json()
        return {"state": self.seen(), "faults": faults, "missing": missing, "plan": plan, **way, **window(self.request, self.order, (self.prefix / "ill").exists())}

    def _can(self, to: str) -> bool:
        return any(g["version"] == to and (g["status"] == "good" or g["number"] == self.state["live"]) for g in self.state["generations"])

    def verify(self) -> dict[str, Any]:
        """Nothing is sealed in a fake, so nothing has drifted."""
        return {"drift": {}, "state": self.seen()}

    def _release(self) -> Release | None:
        """What the request names, of it the part for this host's Python. A fake believes everything."""
        text = self.request.get("manifest")
        said = json.loads(text) if text else self.request.get("release")
        release = Release.from_json(said) if said else None
        return release.part(PYTHON) if release and PYTHON in release.pythons else release

    def _missing(self, release: Release) -> list[str]:
        return [a.sha256 for a in release.for_host() if not (self.prefix / "files" / a.sha256).exists()]

    def _plan(self, target: str, texts: list[str]) -> Plan:
        steps = tuple(Step("fake", text, commit=text.startswith("switch")) for text in texts)
        return Plan(self.prefix.name, str(self.state["live"]), target, steps)

    def stage(self) -> dict[str, Any]:
        self._stale()
        self._receive()
        release = self._release()
        if self._missing(release):
            raise Refused(f"{len(self._missing(release))} files of the release are missing")
        self._step(1, 2, "release", f"install {release.app} {release.version}")
        number = max(each["number"] for each in self.state["generations"]) + 1
        self.state["generations"].insert(0, record(number, release.id, release.version, "staged", self.request["by"],
                                                   self.state["live"]))
        self._step(2, 2, "check", "import the application")
        self.note(release)
        return {"generation": number, "state": self.seen()}

    def _receive(self) -> None:
        for file in self.request["files"]:
            content, left = hashlib.sha256(), file["size"]
            place = self.prefix / "files" / file["sha256"]
            with place.with_suffix(".new").open("wb") as out:
                while left and (block := self.stream.read(min(left, 1 << 16))):
                    content.update(block)
                    out.write(block)
                    left -= len(block)
            if left or content.hexdigest() != file["sha256"]:
                raise Refused(f"a file did not arrive as announced ({file['sha256'][:12]})")
            place.with_suffix(".new").rename(place)

    def activate(self) -> dict[str, Any]:
        self._stale()
        found = self._generation(self.request["generation"])
        if not found:
            raise Refused(f"there is no generation {self.request['generation']}")
        return self._switch(found)

    def rollback(self) -> dict[str, Any]:
        self._stale()
        return self._switch(self._target(self.request["to"]))

    def _switch(self, to: dict[str, Any]) -> dict[str, Any]:
        self._step(1, 2, "door", "ask health")
        confirm = self.request["site"]["confirm"]
        self.state["trial"] = {"generation": to["number"], "previous": self.state["live"],
                               "deadline": time.time() + confirm}
        to["status"], self.state["live"] = "pending", to["number"]
        self._step(2, 2, "flip", "switch")
        return {"generation": to["number"], "status": "pending", "deadline": confirm, "switch_ms": 1.0,
                "seen": {"before": {"requests": 100, "errors": 1}, "after": {"requests": 20, "errors": 0}, "ms": {"median": 1.5, "most": 4.0}},
                "state": self.seen()}

    def confirm(self) -> dict[str, Any]:
        number, live = self.request["generation"], self._live()
        if live["number"] != number:
            raise FailedUndone(f"generation {number} was not confirmed in time and has gone back", effect=f"{live['version']} serves")
        if self.request.get("hold") and self.state["trial"]:
            self.state["trial"]["held"] = [self.request["lock"]["number"], self.request["lock"]["token"]]
            return {"deadline": round(self._asked()[1]), "state": self.seen()}
        live["status"], self.state["trial"] = "good", None
        return {"state": self.seen()}

    def revert(self) -> dict[str, Any]:
        number = self.request["generation"]
        if self.state["live"] == number:
            if not self.state["trial"]:
                self.state["trial"] = {"generation": number, "previous": self._live()["previous"]}
            go_back(self.state, "taken back")
        return {"state": self.seen()}

    def _target(self, to: str) -> dict[str, Any]:
        live = self._live()
        able = [g for g in self.state["generations"] if g["status"] == "good" and g["number"] not in (0, live["number"])]
        if to:
            found = next((g for g in able if g["version"] == to), None)
        else:
            found = next((g for g in able if g["number"] == live["previous"]), None)
        if not found:
            raise Refused(f"there is no good generation of {to} to go back to" if to else
                          "there is no earlier release to go back to")
        return found

    def _generation(self, number: int) -> dict[str, Any] | None:
        return next((each for each in self.state["generations"] if each["number"] == number), None)

    def _live(self) -> dict[str, Any]:
        return self._generation(self.state["live"]) or {"number": None, "version": "", "previous": 0, "release": ""}

    def _stale(self) -> None:
        if self.request["base"] != self.state["live"]:
            raise Refused(f"generation {self.state['live']} serves, the plan was made for {self.request['base']}: somebody else was faster", "run the command again")

    def _step(self, n: int, of: int, kind: str, text: str) -> None:
        for state in ("start", "done"):
            self.say({"event": "step", "n": n, "of": of, "kind": kind, "text": text, "state": state, "seconds": 0.0})

    def seen(self) -> dict[str, Any]:
        """`state` of the protocol."""
        live = self._live()
        answers = {"status": 0, "error": "not set up"} if not self.state["set_up"] else {"status": 502, "release": "", "version": ""} \
            if (self.prefix / "ill").exists() else {"status": 200, "release": live["release"], "version": live["version"]}
        return {"app": self.request["app"], "host": self.prefix.name, "engine": __version__,
                "set_up": self.state["set_up"], "live": self.state["live"], "slot": "a" if self.state["set_up"] else "",
                "slots": {"a": self.state["live"]} if self.state["set_up"] else {}, "answers": answers,
                "generations": self.state["generations"], "drift": [], "pins": {}, "adopted": "", "disk_free": 1 << 30, "python": PYTHON,
                "lock": self._lock(), **self.remembered()}


def main(argv: list[str]) -> int:
    prefix = Path(argv[argv.index("--prefix") + 1])
    while not (code := answer(prefix)) and "--setup" not in argv and sys.stdin.buffer.peek(1):
        pass
    return code


def answer(prefix: Path) -> int:
    """The exit code for one request; after an answer without an error another may follow."""
    def say(said: dict[str, Any]) -> None:
        print(json.dumps(said), flush=True)

    engine, code, started = FakeEngine(prefix, sys.stdin.buffer, say), 0, time.time()
    try:
        last: dict[str, Any] = {"result": engine.run(), "more": True}
    except WeftError as error:
        last, code = {"error": error.to_json()}, error.code
    with (prefix / "log").open("a") as log:
        log.write(json.dumps([engine.request.get("verb"), started, time.time()]) + "\n")
    say(last)  # after the log: whoever has the answer may read it
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
