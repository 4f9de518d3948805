"""A rollback on a host: the plan of it, and the generation that it serves again, installed from the cache where it was pruned."""

from __future__ import annotations


from weft import durable
from weft.errors import Refused, WeftError
from weft.host import decide, fingerprint, kept, secrets, trust, wayback
from weft.host.layout import Layout
from weft.host.state import Fault, HostState
from weft.host.work import Work
from weft.plan import Plan
from weft.typing import Any, Sequence
from weft.values import Generation, Release


class Cached:
    """See that every file is there and undamaged, before anything is begun with them."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, files: Sequence[str]) -> None:
        for digest in files:
            path = self.work.layout.cache / digest
            if not path.is_file() or durable.sha256(path) != digest:
                path.unlink(missing_ok=True)
                raise Refused(f"the file {digest[:12]}… in the host's cache was damaged; it has been dropped",
                              "run the same command again: what is missing comes from the store")

    def undo(self, files: Sequence[str]) -> None:
        pass


def seen(machine: Any, state: HostState) -> dict[str, Any]:
    """For `observe`: from where, to which version, the plan, and what is in the way."""
    request = machine.request
    try:
        found = wayback.way(state, request.rollback, request.proof.force)
        said = {"from": found.source, "to": found.version, "plan": None, "faults": []}
        if found.source == wayback.STORE:
            refusal = wayback.not_here(state, found)
            return {**said, "faults": [Fault(refusal.message, refusal.hint)]}
        if found.source != wayback.CACHE:
            return {**said, "plan": decide.activate(state, _generation(found))}
        release, faults = _kept(machine, state, found)
        return {**said, "faults": faults} if faults else {**said, "plan": _whole(machine, state, found, release)}
    except WeftError as error:
        return {"from": "", "to": request.rollback, "plan": None, "faults": [Fault(error.message, error.hint)]}


def _generation(found: wayback.Way) -> Generation:
    assert found.generation is not None
    return found.generation


def _kept(machine: Any, state: HostState, found: wayback.Way) -> tuple[Release, list[Fault]]:
    """The release, believed once more by the signers of today, and what is in its way."""
    layout: Layout = machine.layout
    release, proof = kept.load(layout, found.release)
    faults = trust.check_kept(layout, release, proof, machine.request.proof.force)
    return release, faults or decide.deploy_faults(state, release) or machine.room_faults(state, release)


def _whole(machine: Any, state: HostState, found: wayback.Way, release: Release) -> Plan:
    from weft.host import settings as effective
    first = _install(machine, state, found, release, effective.render(machine, release, secrets.KEPT))
    generation = found.generation or Generation(decide.next_number(state), release.id, str(release.version), "", "staged")
    second = decide.activate(state, generation)
    return Plan(first.subject, first.base, first.target, first.steps + second.steps)


def _install(machine: Any, state: HostState, found: wayback.Way, release: Release, settings: fingerprint.Settings | None, make: bool = False) -> Plan:
    return wayback.again(state, release, found, fingerprint.digest(machine.layout, settings, make), machine.request.by)


def bring(machine: Any, state: HostState) -> tuple[HostState, Generation]:
    """The generation to go back to, ready to be activated, and the host as it then is. Raises Refused, or as `apply` does."""
    found = wayback.way(state, machine.request.to, machine.request.proof.force)
    if found.source == wayback.STORE:
        raise wayback.not_here(state, found)
    if found.source != wayback.CACHE:
        return state, _generation(found)
    from weft.host import settings as effective
    release, faults = _kept(machine, state, found)
    machine.refuse(faults)
    machine.work.release, machine.work.settings = release, effective.render(machine, release, secrets.KEPT)
    plan = _install(machine, state, found, release, machine.work.settings, make=True)
    machine.apply(plan)
    number = next(s.args["generation"] for s in plan.steps if s.kind == "check")
    after = machine.state()
    return after, after.generation(number)
