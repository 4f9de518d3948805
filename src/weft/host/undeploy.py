"""Take an application off its host: the site away, its processes ended, all that weft has made removed, and what a user has kept.

undeploy.json in the state directory says that it has begun, for good: recovery goes on from there, whatever a crash has left, and the note goes last.
Kept without `purge`: drop-ins, settings files edited by hand, the application's own data, the logs. Kept in any case: the engine, the accounts, the
sudo rule, and whom this host believes (/etc/weft/APP and the last index), so that whoever deploys can't make the host forget it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from weft import durable
from weft.errors import NeedsHands, Refused
from weft.host import adopt, observe, processes, recover, timers
from weft.host.commands import CommandFailed, ids, run
from weft.host.layout import Layout
from weft.host.logs import slot_pids
from weft.host.observe import names, read_json
from weft.host.work import Work, remove
from weft.journal import Journal
from weft.record import replace
from weft.servers import SLOTS, Site, find, parse_site
from weft.typing import Any, Collection, Iterable

BELIEVED = ("index-serial",)
LOGS = ("history.jsonl", "journal.jsonl")
LOCKS = ("lock", "fleet-lock.json", "fleet-beat.json")
PATIENCE = 10.0
"""Seconds for a server to stop."""
MADE = ("live", "current", "entry.wsgi", "site.json", "slots", "generations", "releases", "layers", "tools", "cache", "run")


def answer(machine: Any) -> dict[str, Any]:
    """`did` and `kept`, in sentences. Raises Refused where something stands against it; then nothing was changed."""
    layout, purge = machine.layout, machine.request.words.get("purge", False)
    if not isinstance(purge, bool):
        raise Refused("purge is true or false")
    if not layout.state.is_dir():
        return {"did": [], "kept": left(layout)}
    with machine.locked():
        state = machine.state()
        machine.on_trial(state)
        if not there(layout) and not purge:
            return {"did": [], "kept": left(layout)}
        checked(machine.work)
        served = machine.served()
        durable.write(note(layout), json.dumps({"site": machine.request.said_site, "purge": purge, "by": machine.request.by, "served": served}, sort_keys=True), 0o600)
        machine.journal.append("undeploying", purge=purge)
        return finish(layout, machine.site, purge)


def there(layout: Layout) -> bool:
    """Whether anything of the application is on this host that `undeploy` removes."""
    return any(os.path.lexists(layout.root / name) for name in MADE) or (layout.state / "site.json").exists() or layout.adopted.exists()


def note(layout: Layout) -> Path:
    return layout.state / "undeploy.json"


def settle(layout: Layout, journal: Journal) -> None:
    """What recovery does: go on with one that a crash has ended. Nothing to do without its note."""
    said = read_json(note(layout))
    if not said:
        note(layout).unlink(missing_ok=True)  # torn: a write that never came to its end
        return
    journal.append("undeploying", again=True)
    site = adopt.remembered(layout, parse_site(layout.app, said["site"], layout.prefix))
    finish(layout, site, bool(said.get("purge")))


def checked(work: Work) -> None:
    """Raises Refused where the server takes its configuration no more: it could not be reloaded without the site. One that does not run need not be."""
    if not processes.parent_pid(find(work.site.server).pidfile(work.site)):
        return
    try:
        run(find(work.site.server).check(work.site), "the server refuses its configuration", work.layout)
    except CommandFailed as error:
        raise Refused(error.message, "correct the server's configuration, then run the same command again", details=error.details) from None


def finish(layout: Layout, site: Site, purge: bool) -> dict[str, Any]:
    """Everything after the note; each part looks first, so it may be begun again anywhere."""
    alone, served = not others(layout), serving(layout, site)
    did = stopped(site) if layout.prefix and alone else []
    gone, kept = site_away(layout, site, alone, purge)
    did += gone + reload(layout, site)
    ended(layout, site, served)
    kept += trees(layout, site, purge)
    did.append(f"removed {layout.root}" if not layout.root.exists() else f"removed what weft has made in {layout.root}")
    if alone and layout.privileged and not layout.prefix:
        did += timers.remove()
    said = read_json(note(layout))
    Journal(layout.state / "history.jsonl").append("undeploy", by=said.get("by", ""), version=said.get("served", ""), result="done")
    forget(layout, purge)
    return {"did": did, "kept": kept + left(layout)}


def others(layout: Layout) -> list[str]:
    """The other applications of this host."""
    return [app for app in names(layout.state.parent) if app != layout.app and (layout.state.parent / app / "site.json").exists()]


def site_away(layout: Layout, site: Site, alone: bool, purge: bool) -> tuple[list[str], list[str]]:
    """The links first, so that no reload in between finds half a site. What serves other applications too goes with the last one."""
    adapter, shared = find(site.server), set() if alone else {path for each in others(layout) for path in of(layout, each, site)}
    did, kept = [], []
    for path in adapter.links(site):
        if path not in shared and os.path.islink(path):
            _unlink(Path(path))
            did.append(f"disabled {path}")
    for path, text in adapter.files(site).items():
        if path in shared or Path(path) == layout.entry or not os.path.lexists(path):
            continue
        if not purge and Path(path).read_text(errors="replace") != text:
            os.replace(path, f"{path}.kept")
            durable.fsync_dir(Path(path).parent)
            kept.append(f"{path}.kept, which is not as weft wrote it")
        else:
            _unlink(Path(path))
        did.append(f"removed {path}")
    own = adapter.own(site)
    if own and os.path.lexists(own):
        if purge:
            _unlink(Path(own))
        (did if purge else kept).append(f"removed {own}" if purge else f"{own}, the operator's own directives")
    return did, kept


def of(layout: Layout, app: str, site: Site) -> set[str]:
    """What another application has in its server. Where its own word for that is not to be had, it counts as one on the server of `site`."""
    other = replace(site, app=app, before=None)
    try:
        other = parse_site(app, read_json(layout.state.parent / app / "site.json"), layout.prefix)
    except Refused:
        pass
    return {*find(other.server).files(other), *find(other.server).links(other)}


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    durable.fsync_dir(path.parent)


def stopped(site: Site) -> list[str]:
    """A server that only this application had, while its configuration is there to do it with."""
    adapter = find(site.server)
    if not processes.parent_pid(adapter.pidfile(site)):
        return []
    run(adapter.stop(site), "the server does not stop", Layout(site.app, site.prefix), timeout=60)
    end = time.monotonic() + PATIENCE
    while processes.parent_pid(adapter.pidfile(site)) and time.monotonic() < end:
        time.sleep(0.05)
    return ["stopped the server"]


def reload(layout: Layout, site: Site) -> list[str]:
    """Gracefully, where it runs. Raises NeedsHands where its configuration was broken since."""
    adapter = find(site.server)
    if not processes.parent_pid(adapter.pidfile(site)):
        return []
    try:
        run(adapter.check(site), "the server refuses its configuration", layout)
        run(adapter.reload(site), "the server does not reload", layout, timeout=60)
    except CommandFailed as error:
        raise NeedsHands(error.message, "correct the server's configuration; every command and the timer go on with it then",
                         "the site's files are removed, the server still serves it", error.details) from None
    return ["reloaded the server (other sites' requests that take over 3 s may have been cut)"]


def let_go(site: Site, served: Collection[processes.Known] = ()) -> None:
    """Until a server that keeps the slots' processes itself has ended them, after their last requests; and those of `served` that are its own no more,
    for a server that is reloaded may leave them to what it was before."""
    adapter, end = find(site.server), time.monotonic() + site.longest_request + PATIENCE
    while (any(adapter.accepting(site, slot) for slot in SLOTS) or processes.orphans(served, adapter.pidfile(site))) and time.monotonic() < end:
        time.sleep(0.05)


def serving(layout: Layout, site: Site) -> set[processes.Known]:
    """The slots' processes of a server that may end them later than it says that it has reloaded or stopped."""
    return processes.known(slot_pids(layout, site)) if find(site.server).lazy else set()


def ended(layout: Layout, site: Site, served: Collection[processes.Known]) -> None:
    """The slots' processes: in peace first, for what they still answer is read from the trees."""
    let_go(site, served)
    for late in processes.orphans(served, find(site.server).pidfile(site)):
        late.kill()
    parent, uid = processes.parent_pid(find(site.server).pidfile(site)), _uid(layout, site)
    pids = slot_pids(layout, site) if parent and uid is not None else set()
    if pids and uid is not None:
        late = processes.terminate(pids, parent, uid, site.longest_request)
        processes.terminate(late, parent, uid, 5.0, signal.SIGKILL)


def _uid(layout: Layout, site: Site) -> int | None:
    return ids(layout, site.account)[0] if not layout.privileged or observe.account_exists(site.account) else None


def trees(layout: Layout, site: Site, purge: bool) -> list[str]:
    """What weft has made, and with `purge` what the user has; what was kept because somebody changed it by hand."""
    kept = [] if site.before and site.before.ini else ini(layout, purge)
    for name in MADE:
        remove(layout.root / name)
    for path in [layout.root / "shared", layout.drop_ins]:
        if purge:
            remove(path)
        _rmdir(path)
    for path in durable.leftovers(layout.ini):
        remove(path)
    _rmdir(layout.root)
    return kept


def ini(layout: Layout, purge: bool) -> list[str]:
    """/etc/APP.ini where it is weft's link, or was edited in place: then the edit is what is kept."""
    settings = layout.live / "generation" / "settings.ini"
    if layout.ini.is_symlink() and os.readlink(layout.ini) == str(settings):
        edited = [each for each in _edits(layout) if not purge]
        for text in edited:
            durable.write(Path(f"{layout.ini}.kept"), text, 0o600)
        _unlink(layout.ini)
        return [f"{layout.ini}.kept, which somebody has edited" for _ in edited]
    if purge and layout.live.is_symlink() and os.path.lexists(layout.ini) and not layout.ini.is_dir():  # later nobody knows any more whose it is
        _unlink(layout.ini)
    return []


def _edits(layout: Layout) -> Iterable[bytes]:
    """The live settings, where they are not as they were sealed."""
    path = layout.live / "generation" / "settings.ini"
    number = os.path.basename(os.path.realpath(layout.live / "generation"))
    sealed = layout.sealed_settings(int(number)) if number.isdigit() else None
    if path.exists() and sealed and sealed.exists() and sealed.read_bytes() != path.read_bytes():
        yield path.read_bytes()


def forget(layout: Layout, purge: bool) -> None:
    """The state, the note last."""
    stay = {*BELIEVED, *LOCKS, note(layout).name, *(() if purge else LOGS)}
    for name in sorted(names(layout.state)):
        if name not in stay and (purge or not name.startswith(("traffic", "edited-"))):
            remove(layout.state / name)
    durable.fsync_dir(layout.state)
    _unlink(note(layout))


def _rmdir(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return
    durable.fsync_dir(path.parent)


def left(layout: Layout) -> list[str]:
    """What of the user's is still there."""
    known = [(layout.drop_ins, "the drop-ins"), (layout.root / "shared", "the application's data"), (layout.ini, "somebody's settings"),
             (layout.allowed_signers.parent, "whom this host believes"), (layout.state / "history.jsonl", "the history")]
    return [f"{path}, {what}" for path, what in known if os.path.lexists(path)]
