"""Commands for an operator on the machine itself. Each is a request like one of fab's, answered in this process: the same lock,
checks, journal and history, and what the host was last set up or deployed with as its environment."""

from __future__ import annotations

import os
import pwd
import socket

from weft.errors import FailedUndone, Interrupted, OutcomeUnknown, Refused
from weft.host import PROTOCOL, edit, kept, migrate, recover as recovery, report, secrets, trial, unsafe
from weft.host.layout import Layout
from weft.host.machine import Machine
from weft.host.recover import copy_of_site, kept_site
from weft.host.request import parse
from weft.host.screen import Screen
from weft.host.source import Source
from weft.host.state import HostState
from weft.journal import Journal
from weft.record import record, replace
from weft.typing import Any, Callable
from weft.values import Version, app_name

FROM = {"slot": "the other slot, still warm", "installed": "what is installed", "cache": "this host's cache"}


@record(frozen=True)
class Here:
    """This machine. watchdog: starts what undoes a generation that nobody confirms."""

    app: str
    prefix: str
    screen: Screen
    watchdog: Callable[[Any, int], None]

    @property
    def layout(self) -> Layout:
        return Layout(app_name(self.app), self.prefix)

    def machine(self, verb: str = "observe", stream: Any = None, site: dict[str, Any] | None = None, **words: Any) -> Machine:
        """site: what is to be otherwise than the host was last set up or deployed with."""
        layout = self.layout
        known = kept_site(layout.state / "site.json") or kept_site(copy_of_site(layout))
        if not known:
            raise Refused(f"{self.app} has not been set up here, or you may not read {layout.state}", "run `fab setup`, or use sudo")
        request = parse({"protocol": PROTOCOL, "verb": verb, "app": self.app, "by": by(), "site": {**known, **(site or {})}, **words},
                        self.prefix, stream)
        return Machine(replace(request, here=True), self.screen.event, lambda number: self.watchdog(request, number))

    def ask(self, verb: str, **words: Any) -> dict[str, Any]:
        """The answer to a request, as fab would get it."""
        return self.machine(verb, **words).answer()


def by() -> str:
    """Who types, for the records: the account that sudo was called from."""
    return f"{os.environ.get('SUDO_USER') or _account()}@{socket.gethostname()}"


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def install(here: Here, place: str, version: str, force_yanked: bool, force_bad: bool) -> dict[str, Any]:
    """Bring a release to this host, checked as one that fab sends; users notice nothing."""
    force = [word for word, said in (("yanked", force_yanked), ("bad", force_bad)) if said]
    here.machine()  # whoever may not read the host's state is told so, before anything else is read
    source = Source(place, app_name(here.app), version)
    wish = {**source.wish(), "secrets": secrets.KEPT, **({"force": force} if force else {})}
    seen = here.ask("observe", **wish)
    _refuse(seen)
    if not seen["plan"]:
        here.screen.say([f"{source.release.version} is served already: nothing to do"])
        return {"did": [], "state": seen["state"]}
    wanted = source.wanted(seen["missing"])
    said = here.ask("stage", stream=source.stream(wanted), **wish, base=seen["state"]["live"],
                    files=[{"sha256": a.sha256, "size": a.size} for a in wanted])
    version = str(source.release.version)
    here.screen.say([f"{version} is installed as generation {said['generation']}; what is served was not touched",
                     f"switch to it: weft-host activate {here.app} {version}"])
    return {"did": [f"installed {version}"], **said}


def _refuse(seen: dict[str, Any]) -> None:
    """Raises Refused for what `observe` has found in the way."""
    if seen["faults"]:
        raise Refused("; ".join(each["message"] for each in seen["faults"]),
                      " ; ".join(dict.fromkeys(each["next"] for each in seen["faults"] if each["next"])))


def activate(here: Here, version: str, yes: bool) -> dict[str, Any]:
    """Switch to what was installed, watch, and keep it when somebody says so."""
    wanted = Version(version) if version else ""
    seen = here.ask("observe", release=None)
    _refuse(seen)
    machine = here.machine()
    state = machine.state()
    live = state.generation(state.live)
    found = next((g for g in report.ready(state) if not wanted or g.version == wanted), None)
    if not found and live and wanted and live.version == wanted and live.status == "good":
        here.screen.say([f"{wanted} is served already: nothing to do"])
        return {"did": [], "state": seen["state"]}
    if not found:
        raise _not_ready(here.app, state, wanted)
    crossed = unsafe.crossed(seen["state"], found.version, back=False)
    doubts = [*migrate.owed(machine.site, state, found), *([unsafe.why(crossed)] if crossed else [])]
    here.screen.say([*(f"warning: {each}" for each in doubts), f"{report.served(state)} -> {found.version}"])
    done = _kept(here, here.ask("activate", generation=found.number, base=state.live), found.version, yes)
    return {**done, "warnings": [*doubts, *done["warnings"]]}


def _not_ready(app: str, state: HostState, wanted: str) -> Refused:
    ready = ", ".join(g.version for g in report.ready(state)) or "nothing"
    earlier = next((g for g in state.generations if g.version == wanted and g.status == "good"), None)
    back = f", or go back to what was served: weft-host rollback {app} --to {wanted}" if earlier else ""
    return Refused(f"{wanted or 'nothing'} is {'not ' if wanted else ''}installed to be switched to", f"weft-host install {app} PLACE{back}; ready: {ready}")


def rollback(here: Here, to: str, yes: bool, force_bad: bool, force_unsafe: bool) -> dict[str, Any]:
    """Go back, without watching for longer than it takes to ask; kept when somebody says so."""
    wanted, force = Version(to) if to else "", {"force": ["bad"]} if force_bad else {}
    seen = here.ask("observe", release=None, rollback={"to": wanted}, **force)
    _refuse(seen)
    if not seen["plan"]:
        here.screen.say([f"{wanted} is served already: nothing to do"])
        return {"did": [], "state": seen["state"]}
    crossed = unsafe.crossed(seen["state"], seen["to"])
    if crossed and not force_unsafe:
        raise Refused(unsafe.why(crossed), f"if it does all the same: weft-host rollback {here.app}{f' --to {wanted}' if wanted else ''} {unsafe.FORCE}", here.machine().served())
    here.screen.say([f"back to {seen['to']}, from {FROM[seen['from']]}"])
    said = here.ask("rollback", site={"watch": 0}, to=wanted, base=seen["state"]["live"], **force)
    return {**_kept(here, said, seen["to"], yes), "from": seen["from"]}


def confirm(here: Here) -> dict[str, Any]:
    """Keep what is on trial. Raises Refused where nothing is."""
    machine = here.machine()
    with machine.disk_told("confirm"), machine.locked("confirm"):
        state = machine.state()
    live = state.generation(state.live)
    if not state.trial or live is None:
        raise Refused("nothing is on trial: it was confirmed, or it went back by itself", f"weft-host status {here.app}", machine.served())
    return _confirmed(here, {"generation": live.number}, live.version)


def _kept(here: Here, said: dict[str, Any], version: str, yes: bool) -> dict[str, Any]:
    """Ask whether a generation on trial is to be kept. Raises FailedUndone for no, OutcomeUnknown where nobody answers."""
    number, layout = said["generation"], here.layout
    left = trial.seconds_left(trial.read(layout))
    try:
        answer = "yes" if yes else here.screen.ask(f"{version} is served, on trial; without an answer it goes back in {left:.0f} s. Keep it? [y/N]", left)
    except Interrupted as error:
        error.effect = f"{version} is served; it goes back by itself in {trial.seconds_left(trial.read(layout)):.0f} s"
        raise
    if answer == "yes":
        return _confirmed(here, said, version)
    if answer == "no" or (left := trial.seconds_left(trial.read(layout))) <= 0:
        here.ask("revert", generation=number)
        raise FailedUndone(f"{version} was not kept", "", here.machine().served())
    raise OutcomeUnknown(f"nobody has said that {version} is to be kept", f"keep it: weft-host confirm {here.app}; at once: --yes",
                         f"it is served, and goes back by itself in {left:.0f} s")


def _confirmed(here: Here, said: dict[str, Any], version: str) -> dict[str, Any]:
    done = here.ask("confirm", generation=said["generation"])
    switched = f", switched to in {said['switch_ms']:.0f} ms" if said.get("switch_ms") else ""
    here.screen.say([f"{version} is served (generation {said['generation']}{switched})", *(f"warning: {each}" for each in done["warnings"])])
    return {"did": [f"serves {version}"], **said, "status": "good", **done}


def status(here: Here) -> dict[str, Any]:
    """What is served, read only."""
    state = here.machine().state()
    here.screen.say(report.status(state, trial.seconds_left(state.trial)))
    return {"state": state.to_json()}


def history(here: Here) -> dict[str, Any]:
    """What was done here."""
    here.machine()
    lines = Journal(here.layout.state / "history.jsonl").read()
    here.screen.say(report.history(lines))
    return {"history": lines[::-1]}


def verify(here: Here) -> dict[str, Any]:
    """Compare everything with what was sealed. Raises Refused where something differs."""
    said = here.ask("verify")
    here.screen.say(report.drift(said["drift"]))
    changed = {part: files for part, files in said["drift"].items() if files}
    if changed:
        raise Refused("that is not as it was installed" if not here.screen.json else "files are not as they were installed",
                      report.mend(changed), "what is served was not touched",
                      {"drift": changed})
    return said


def recover(here: Here, all: bool) -> dict[str, Any]:
    """What starts every command, by itself."""
    if all:
        said = recovery.everything(here.prefix)
        here.screen.say([f"{app}: recovered" for app in said["recovered"]] + [f"{app}: {why}" for app, why in said["busy"].items()])
        if said["failed"]:
            raise OutcomeUnknown("not recovered: " + "; ".join(f"{app}: {why}" for app, why in said["failed"].items()),
                                 f"weft-host recover {next(iter(said['failed']))}",
                                 "each serves what it served; the timer tries again every minute", said)
        return said
    machine = here.machine()
    with machine.disk_told("recover"), machine.locked("recover"):
        state = machine.state()
    here.screen.say(report.status(state, trial.seconds_left(state.trial)))
    return {"state": state.to_json()}


def keep_edit(here: Here) -> dict[str, Any]:
    """Turn a hand edit of /etc/APP.ini into a drop-in."""
    said = edit.keep(here.machine())
    here.screen.say(said["did"] or ["nothing was edited by hand"])
    return said


def pin(here: Here, version: str) -> dict[str, Any]:
    """Keep a version. Raises Refused for one that this host does not have."""
    machine, wanted = here.machine(), Version(version)
    with machine.disk_told("pin"), machine.locked("pin"):
        state = machine.state()
        known = list(dict.fromkeys([*(g.version for g in state.generations if g.number), *(k.version for k in state.kept)]))
        if wanted not in known:
            raise Refused(f"{wanted} is not on this host", f"it has: {', '.join(known) or 'nothing yet'}")
        kept.pin(machine.layout, wanted, by())
    return _pins(here, "pin", wanted, "is kept, whatever is deployed")


def unpin(here: Here, version: str) -> dict[str, Any]:
    """Let it be pruned again. Raises Refused for one that is not pinned."""
    machine, wanted = here.machine(), Version(version)
    with machine.disk_told("unpin"), machine.locked("unpin"):
        pinned = kept.pins(machine.layout)
        if wanted not in pinned:
            raise Refused(f"{wanted} is not pinned", f"pinned: {', '.join(sorted(pinned)) or 'nothing'}")
        kept.unpin(machine.layout, wanted)
    return _pins(here, "unpin", wanted, "is not pinned any more: a deploy may prune it")


def _pins(here: Here, verb: str, version: str, what: str) -> dict[str, Any]:
    with here.machine().disk_told(verb):
        Journal(here.layout.state / "history.jsonl").append(verb, by=by(), version=version, result="done")
    pins = kept.pins(here.layout)
    here.screen.say([f"{version} {what}", *([f"pinned: {report.pinned(pins)}"] if pins else [])])
    return {"pins": pins}
