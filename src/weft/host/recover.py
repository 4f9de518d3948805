"""Make the host whole again at the start of every command: what is on disk decides, the journal is only read by people."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from weft import durable
from weft.host import switch
from weft.host.layout import Layout, seal
from weft.host.observe import names, read_json
from weft.host.work import Work, remove
from weft.journal import Journal


def recover(work: Work, journal: Journal) -> None:
    """Under the lock. A trial past its deadline, or from before a reboot, goes back; residue is removed."""
    trial = read_json(work.layout.trial)
    if trial and seconds_left(trial) <= 0:
        note = "was not confirmed in time" if trial.get("boot") == switch.boot_id() else "the host was started anew before it was confirmed"
        if switch.go_back(work, note):
            journal.append("went-back", generation=trial["generation"], why=note)
    for path in residue(work.layout):
        journal.append("swept", path=path.name)
        remove(path)


def seconds_left(trial: dict[str, Any]) -> float:
    """Until a trial goes back by itself; 0 for one from before a reboot."""
    if not trial or trial.get("boot") != switch.boot_id():
        return 0.0
    return max(0.0, float(trial["deadline"]) - time.clock_gettime(time.CLOCK_BOOTTIME))


def residue(layout: Layout) -> list[Path]:
    """What a crash left: directories without a seal, generations without a record, temporary files."""
    found = []
    for folder in ("releases", "layers", "tools"):
        found += [layout.root / folder / n for n in names(layout.root / folder) if not seal(layout.root / folder / n).exists()]
    generations = layout.root / "generations"
    found += [generations / n for n in names(generations) if not (generations / n / "record.json").exists()]
    for folder in (layout.root, layout.cache, layout.state, layout.slot("a"), layout.slot("b"), layout.drop_ins, generations,
                   *(generations / n for n in names(generations))):
        found += [folder / n for n in names(folder) if n.startswith(".weft-tmp-")]
    return found


def keep_site(layout: Layout, said: dict[str, Any]) -> None:
    """Remember the environment, for commands that are given on the host itself and for the watchdog."""
    text = json.dumps(said, sort_keys=True)
    path = layout.state / "site.json"
    if not path.exists() or path.read_text() != text:
        durable.write(path, text, 0o600)
