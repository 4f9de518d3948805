"""Make the host whole again at the start of every command, at boot and by the timer: what is on disk decides.

Nothing here needs to know the environment: a host whose note of it was lost goes back all the same."""

from __future__ import annotations

import json
from pathlib import Path

from weft import durable
from weft.durable import read_json
from weft.host import lock, orphans, trial
from weft.host.layout import Layout, seal
from weft.host.observe import names, read_generations
from weft.host.work import remove
from weft.journal import Journal
from weft.servers import PLACES
from weft.typing import Any
from weft.values import app_name

PATIENCE = 20.0
"""Seconds that `everything` waits for an application's lock."""

def recover(layout: Layout, journal: Journal) -> None:
    """Under the lock. What a killed engine left running ends; a trial that is over goes back; residue is removed."""
    for pid in orphans.end(layout):
        journal.append("ended", pid=pid, why="its engine had died")
    if (layout.state / "undeploy.json").exists():
        from weft.host import undeploy  # which needs what this module has
        undeploy.settle(layout, journal)
    settled = trial.settle(layout)
    for generation, why in settled:
        journal.append("settled", generation=generation, why=why)
    rebuild(layout, journal)
    for path in residue(layout):
        journal.append("swept", path=path.name)
        remove(path)


def rebuild(layout: Layout, journal: Journal) -> None:
    """The note of the environment from its copy, and a journal that was lost from the generations' records."""
    if not kept_site(layout.state / "site.json") and (kept := kept_site(copy_of_site(layout))):
        durable.write(layout.state / "site.json", json.dumps(kept, sort_keys=True), 0o600)
        journal.append("rebuilt", what="site.json")
    if not journal.path.exists() and (generations := read_generations(layout)):
        journal.append("rebuilt", what="journal", generations=[
            {"number": g.number, "version": g.version, "status": g.status} for g in reversed(generations)])


def residue(layout: Layout) -> list[Path]:
    """What a crash left: directories without a seal, generations without a record, temporary files."""
    found = []
    for folder in ("releases", "layers", "tools"):
        found += [layout.root / folder / n for n in names(layout.root / folder) if not seal(layout.root / folder / n).exists()]
    generations = layout.root / "generations"
    found += [generations / n for n in names(generations) if not (generations / n / "record.json").exists()]
    for folder in (layout.root, layout.cache, layout.state, layout.state / "manifests", *(layout.slot(place) for place in PLACES), layout.drop_ins, generations,
                   *(generations / n for n in names(generations))):
        found += [folder / n for n in names(folder) if n.startswith(".weft-tmp-")]
    for path in (layout.ini, layout.allowed_signers, layout.revoked_signers):
        found += durable.leftovers(path)
    return found


def copy_of_site(layout: Layout) -> Path:
    return layout.root / "site.json"


def kept_site(path: Path) -> dict[str, Any]:
    """The environment as it was kept; {} where it is not there or is not one."""
    said = read_json(path)
    return said if "server" in said and "account" in said else {}


def keep_site(layout: Layout, said: dict[str, Any]) -> None:
    """Remember the environment, for commands that are given on the host itself and for what a later request may not choose.

    Twice, both root's alone: the copy beside the application is what a lost state directory's one is rebuilt from."""
    text = json.dumps(said, sort_keys=True)
    for path in (copy_of_site(layout), layout.state / "site.json"):
        if not path.exists() or path.read_bytes() != text.encode():
            durable.write(path, text, 0o600)


def everything(prefix: str = "") -> dict[str, Any]:
    """Recover every application of this host; by name those that another command is at work on, which has recovered them, and what
    could not be. For the boot, the timer and cron."""
    done, busy, failed = [], {}, {}
    for app in sorted(names(Path(f"{prefix}/var/lib/weft"))):
        layout = Layout(app, prefix)
        try:
            app_name(app)
            with lock.held(layout, "recover", "recover", PATIENCE):
                recover(layout, Journal(layout.state / "journal.jsonl"))
            done.append(app)
        except lock.Locked as error:
            busy[app] = error.message
        except Exception as error:  # one application's fault must not keep the others from going back
            failed[app] = str(error)
    return {"recovered": done, "busy": busy, "failed": failed}
