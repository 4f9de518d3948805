"""Read what is on the host; changes nothing."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import sys
from pathlib import Path

from weft import __version__
from weft.durable import read_json
from weft.host import commands, fingerprint, health, processes, room
from weft.host.layout import Layout, seal
from weft.host.state import Fault, HostState
from weft.servers import SLOTS, Site, before, find
from weft.values import Generation


def observe(layout: Layout, site: Site) -> HostState:
    """Everything the decisions need, in one pass."""
    set_up = layout.entry.exists() and layout.live.is_symlink() and (layout.state / "site.json").exists()
    slot = os.path.basename(os.readlink(layout.live)) if set_up else ""
    slots = {s: slot_generation(layout, s) for s in (*SLOTS, *([before.RELEASE] if site.before else []))} if set_up else {}
    generations = read_generations(layout)
    live = slots.get(slot)
    state = HostState(
        app=layout.app, host=os.uname().nodename, engine=__version__, set_up=set_up, live=live, slot=slot, slots=slots,
        answers=health.ask(site.port, site, 5).to_json() if set_up else {"status": 0, "error": "not set up"},
        generations=generations, drift=(), adopted=site.before.source if site.before else "", disk_free=room.bytes_free(place(layout)), files_free=room.files_free(place(layout)),
        # Before set-up nobody with the right to has said which Python that is: root does not run it.
        python=python_version(site.python) if set_up else "",
        cached=frozenset(names(layout.cache)), sealed=frozenset(n for n in names(layout.root / "releases")
                                                              if seal(layout.release(n)).exists()),
        layers=frozenset(n for n in names(layout.root / "layers") if seal(layout.layer(n)).exists()),
        trial=read_json(layout.trial))
    return HostState(**{**state.__dict__, "drift": tuple(drift(layout, site, state))})


def names(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def slot_generation(layout: Layout, slot: str) -> int:
    try:
        return int(os.path.basename(os.readlink(layout.slot(slot) / "generation")))
    except (OSError, ValueError):
        return -1


def read_generations(layout: Layout) -> tuple[Generation, ...]:
    """Newest first; a directory without a record is residue, not a generation."""
    found = []
    for name in names(layout.root / "generations"):
        said = read_json(layout.root / "generations" / name / "record.json")
        if name.isdigit() and said:
            with contextlib.suppress(TypeError):  # a record that is not weft's names no generation
                found.append(Generation.from_json(said))
    return tuple(sorted(found, key=lambda g: -g.number))


def place(layout: Layout) -> Path:
    """Where the application lies or will lie."""
    found = layout.root
    while not found.exists():
        found = found.parent
    return found


def python_version(python: str) -> str:
    """Such as "3.11"; "" where there is no such Python."""
    if os.path.realpath(python) == os.path.realpath(sys.executable):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    import subprocess
    try:
        done = subprocess.run([python, "-I", "-S", "-V"], capture_output=True, text=True, timeout=20, check=False, env=commands.environment())
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"Python (\d+\.\d+)", done.stdout + done.stderr)
    return match[1] if match else ""


def drift(layout: Layout, site: Site, state: HostState) -> list[str]:
    """What somebody else changed: the ini shown in /etc, or the live generation's own copy of it."""
    if not state.set_up or state.live is None:
        return []
    said, generation = [], state.generation(state.live)
    target = str(layout.live / "generation" / "settings.ini")
    if not (site.before and site.before.ini) and os.path.lexists(layout.ini) and (not layout.ini.is_symlink() or os.readlink(layout.ini) != target):
        said.append(f"{layout.ini} was replaced by hand")
    settings = layout.generation(state.live) / "settings.ini"
    if generation and generation.settings and (not settings.exists() or not fingerprint.same(layout.state, generation.settings, settings.read_bytes())):
        said.append(f"{layout.ini} was edited by hand")
    return said


def host_faults(layout: Layout, site: Site, state: HostState) -> list[Fault]:
    """What is wrong with the host itself, whatever is to be deployed."""
    adapter = find(site.server)
    found = [Fault(what, how) for what, how in adapter.missing(site)]
    setup = f"run `{layout.setup_command}` for this host"
    if found:
        return found
    if not state.set_up:
        return [Fault(f"{layout.app} has not been set up here", setup)]
    if layout.privileged and not account_exists(site.account):
        found.append(Fault(f"the account {site.account} is not there", setup))
    if not state.python:
        found.append(Fault(f"there is no Python at {site.python}", "correct `python` in deploy/NAME.toml"))
    loads = adapter.python(site)
    if state.python and loads and loads != state.python:
        other = adapter.provide(site) or f"install a server for {state.python}"
        found.append(Fault(f"the server loads Python {loads}, but {site.python} is {state.python}{_which(adapter.about(site))}",
                           f"set `python` to a {loads} in deploy/NAME.toml, or: {other}"))
    changed = changed_files(site)
    if changed and all(each.endswith("(not enabled)") for each in changed):
        found.append(Fault(f"the site is disabled on this host: {', '.join(changed)}", "fab enable"))
    elif changed:
        found.append(Fault(f"the site on the host is not what this weft writes for the environment: {', '.join(changed)}", setup))
    if not processes.parent_pid(adapter.pidfile(site)):
        found.append(Fault("the server does not run", f"start it: {' '.join(adapter.start(site))}"))
    found += [Fault(f"{each}; a deploy would hide the edit",
                    f"on the host: `{layout.keep_edit_command}` turns it into a drop-in") for each in state.drift]
    return found


def _which(about: str) -> str:
    return f" ({about})" if about else ""


def account_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def changed_files(site: Site) -> list[str]:
    """Files of the server's that are not as the adapter would write them, and links that are missing."""
    adapter, found = find(site.server), []
    for path, text in adapter.files(site).items():
        try:
            if Path(path).read_text() != text:
                found.append(path)
        except OSError:
            found.append(f"{path} (missing)")
    return found + [f"{path} (not enabled)" for path in adapter.links(site) if not os.path.lexists(path)]
