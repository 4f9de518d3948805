"""Prepare a fresh host: accounts, directories, the engine, the sudo rule, a placeholder, the site. Every action looks
first, does only what is missing, and says what it did."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from weft import durable
from weft.errors import Refused
from weft.host import adopt, processes, program, sealing, timers
from weft.host.audit import ENGINE, NOTE
from weft.host.commands import INSTALLER, CommandFailed, run
from weft.host.layout import seal
from weft.host.observe import account_exists, python_version
from weft.host.stage import make_venv, write_generation
from weft.host.work import Work, empty_folder, give, remove, seize
from weft.servers import SLOTS, before, find
from weft.typing import Sequence
from weft.values import Generation

_KEY = re.compile(r"(ssh-[a-z0-9-]+|ecdsa-[a-z0-9-]+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( [^\n\r]*)?", re.ASCII)
_PLACEHOLDER = '''\
"""Stands in until the first deploy."""


def application(environ, start_response):
    body = b"No release has been deployed yet.\\n"
    start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''


def prepare(work: Work, deploy_user: str, key: str) -> list[str]:
    """Everything, in order; the sentences of what was done. Raises Refused for what it can't provide."""
    missing = find(work.site.server).missing(work.site)
    if missing:
        raise Refused("; ".join(what for what, _ in missing), " ; ".join(dict.fromkeys(how for _, how in missing)))
    if not python_version(work.site.python):
        raise Refused(f"there is no Python at {work.site.python}", "correct `python` in deploy/NAME.toml")
    taken = taken_ports(work)
    if taken:
        raise Refused(f"port {' and port '.join(map(str, taken))} of this host {'is' if len(taken) == 1 else 'are'} in use by another program",
                      "end it, or set `port` or `doors` in [site] of deploy/NAME.toml to free ones")
    did: list[str] = []
    sweep(work, deploy_user)
    if work.layout.privileged and not work.layout.prefix:
        did += accounts(work, deploy_user, key) + engine() + sudo_rule(deploy_user)
    did += folders(work) + adopt.look(work) + placeholder(work)
    did += site_files(work)
    if not work.layout.privileged or work.layout.prefix:
        return did
    kept = timers.install()
    return did if kept == [timers.ALONE] and not did else did + kept  # a host with nothing to do has been told before


def sweep(work: Work, deploy_user: str) -> None:
    """What a set-up that was killed left beside the files it writes outside of the application's own directories."""
    adapter = find(work.site.server)
    for path in (*adapter.files(work.site), *adapter.links(work.site), str(ENGINE), str(NOTE), str(_rule(deploy_user))):
        for left in durable.leftovers(Path(path)):
            remove(left)


def _rule(user: str) -> Path:
    return Path("/etc/sudoers.d") / f"weft-{user}"


def taken_ports(work: Work) -> list[int]:
    """Ports the site needs that somebody else listens on; the server's own are not asked for while it runs."""
    if processes.parent_pid(find(work.site.server).pidfile(work.site)):
        return []
    taken = []
    for address, port in [("", work.site.port), *([("", work.site.tls.port)] if work.site.tls else []), *(("127.0.0.1", door) for door in work.site.doors)]:
        try:
            socket.create_server((address, port)).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken.append(port)
    return taken


def accounts(work: Work, deploy_user: str, key: str) -> list[str]:
    """The application's account, the installer's, and the one that deploys."""
    did = []
    for name, what in ((work.site.account, "runs the application"), (INSTALLER, "installs wheels")):
        if not account_exists(name):
            run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
                 "--shell", "/usr/sbin/nologin", name], "useradd", work.layout)
            did.append(f"made the account {name}, which {what}")
    if deploy_user != "root" and not account_exists(deploy_user):
        run(["useradd", "--create-home", "--user-group", "--shell", "/bin/sh", deploy_user], "useradd", work.layout)
        did.append(f"made the account {deploy_user}, which deploys")
    return did + (authorize(deploy_user, key) if key else [])


def authorize(user: str, key: str) -> list[str]:
    """Add a public key to an account's authorized_keys, keeping what is there."""
    if not _KEY.fullmatch(key.strip()):
        raise Refused("that is not a line of an OpenSSH public key file", "give --key the path of a .pub file")
    entry = pwd.getpwnam(user)
    folder = Path(entry.pw_dir) / ".ssh"
    path = folder / "authorized_keys"
    if folder.is_symlink() or path.is_symlink():
        raise Refused(f"{path} goes through a symlink; weft does not write through it as root", "add the key by hand")
    old = path.read_text() if path.exists() else ""
    if key.split()[1] in old:
        return []
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    durable.write(path, old + ("" if not old or old.endswith("\n") else "\n") + key.strip() + "\n", 0o600,
                  (entry.pw_uid, entry.pw_gid))
    return [f"{user} may come in with the key {key.split()[-1] if len(key.split()) > 2 else key.split()[0]}"]


def engine() -> list[str]:
    """Install the zipapp we run from, compiled."""
    source = Path(sys.argv[0])
    if not source.is_file() or source.resolve() == ENGINE:
        return []
    payload, known = source.read_bytes(), ENGINE.exists()
    if known and NOTE.exists() and program.current(NOTE.read_text(), ENGINE.read_bytes(), payload):
        return []
    installed = program.compiled(payload, ENGINE)
    _note(program.note(installed, payload))
    durable.write(ENGINE, installed, 0o755, (0, 0))
    return [f"{'renewed' if known else 'installed'} the engine {ENGINE}"]


def _note(digest: str) -> None:
    """What `verify` compares the engine with. Before the engine: a set-up that is killed in between is told as a change, and run again."""
    NOTE.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    durable.write(NOTE, digest, 0o644, (0, 0))


def sudo_rule(user: str) -> list[str]:
    """One rule, without wildcards, for one program of root's, without arguments. Checked before it counts."""
    if user == "root":
        return []
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user, re.ASCII):
        raise Refused(f"{user!r} is not an account name")
    path = _rule(user)
    text = (f"# Written by weft: {user} may run the engine, which takes its orders as JSON on standard input.\n"
            f"{user} ALL=(root) NOPASSWD: {ENGINE} \"\"\n")
    if not path.parent.is_dir():
        raise Refused("sudo is not installed", "apt-get install -y sudo")
    if path.exists() and path.read_text() == text:
        return []
    checked = subprocess.run(["visudo", "-cf", "-"], input=text.encode(), capture_output=True, check=False)
    if checked.returncode:
        raise Refused(f"visudo refuses the rule: {checked.stderr.decode().strip()}")
    durable.write(path, text, 0o440, (0, 0))
    return [f"wrote the sudo rule {path}"]


def folders(work: Work) -> list[str]:
    """Root owns all of it but what the application writes: its markers and its own data. Drop-ins may hold secrets: they are root's to read."""
    layout, made = work.layout, []
    writes = [Path(each) for each in find(work.site.server).folders(work.site)]
    for path in [*layout.folders(), *writes]:
        if not path.is_dir():
            path.mkdir(mode=0o755, parents=True)
            made.append(path)
        mine = path in [*(layout.run(s) for s in SLOTS), *writes, layout.root / "shared"]
        if layout.privileged:
            give(layout, path, work.site.account if mine else "root", 0o700 if path in (layout.state, layout.drop_ins) else 0o755)
    return [f"made {layout.root} and {len(made) - 1} directories more"] if made else []


def placeholder(work: Work) -> list[str]:
    """Generation 0: a page that says that nothing is deployed, so that the first deploy is a switch like any other."""
    layout = work.layout
    if layout.live.is_symlink():
        return []
    place = layout.release("placeholder")
    if not seal(place).exists():
        empty_folder(layout, place, work.installer)
        make_venv(work, place)
        seize(layout, place)
        (place / "entry").mkdir()
        (place / "entry" / "placeholder.wsgi").write_text(_PLACEHOLDER)
        (place / "entry.json").write_text(json.dumps({"entry": "entry/placeholder.wsgi"}))
        sealing.close(place, {"release": "placeholder"})
    write_generation(work, Generation(0, "placeholder", "0", "", "good").to_json())
    if work.site.before:
        adopt.slots(work)
        said = Generation(0, before.RELEASE, before.RELEASE, "", "good", note=work.site.before.source)
        durable.write(layout.generation(0) / "record.json", json.dumps(said.to_json(), sort_keys=True))
        durable.link(layout.slot(before.RELEASE) / "generation", "../../generations/0")
    for slot in SLOTS:
        durable.link(layout.slot(slot) / "generation", "../../generations/0")
    durable.write(layout.slot("b") / "is-slot-b", "The site tests whether this file is behind `live`.\n")
    durable.link(layout.live, f"slots/{before.RELEASE if work.site.before else 'a'}")
    durable.link(layout.root / "current", "generations/0")
    return ["put a placeholder in both slots"]


def show_ini(work: Work) -> None:
    """/etc/APP.ini shows the live settings: it follows the commit. A file of somebody else's is left alone."""
    layout = work.layout
    if not os.path.lexists(layout.ini) and not (work.site.before and work.site.before.ini):
        layout.ini.parent.mkdir(parents=True, exist_ok=True)
        durable.link(layout.ini, str(layout.live / "generation" / "settings.ini"))


def site_files(work: Work) -> list[str]:
    """Write the server's files, test the whole configuration, then start or reload; a refusal puts all back."""
    adapter, site = find(work.site.server), work.site
    before: dict[str, str | None] = {}
    for path, text in adapter.files(site).items():
        old = Path(path).read_text() if os.path.exists(path) else None
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if old != text:
            before[path] = old
            durable.write(Path(path), text)
    links = {p: t for p, t in adapter.links(site).items() if not os.path.lexists(p)}
    for path, target in links.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        durable.link(Path(path), target)
    try:
        run(adapter.check(site), "the server refuses its configuration", work.layout)
    except CommandFailed as error:
        _restore(before, links)
        raise _refusal(work, error) from None
    return [*(f"wrote {p}" for p in before), *(f"enabled {p}" for p in links), *_run_server(work, bool(before or links))]


def _refusal(work: Work, error: CommandFailed) -> Refused:
    """With the next move, which is another one where the fault is in the operator's own file: nobody but its owner corrects that."""
    said, own = _reason(error.details), find(work.site.server).own(work.site)
    if own and own in said:
        return Refused(f"the server refuses its configuration: {said}", f"correct {own}, with which the server would not start again; then run `{work.layout.setup_command}`",
                       "what weft wrote has been taken back; a server that runs goes on with what it has read before", error.details)
    return Refused(f"the server refuses its configuration: {said}", "correct the server's configuration; what weft wrote has been taken back", details=error.details)


def _reason(lines: Sequence[str]) -> str:
    """The line that says why: the first that tells of an error, with its file and line where the next one has them."""
    for line in lines or ():
        if re.search(r"AH\d+:.*(error|fail|could not|unable|no such)|[Ss]yntax error|\brror\b", line, re.I):
            return " ".join([line.strip(), *(l.strip() for l in lines[lines.index(line) + 1:][:1])])[:400]
    return " ".join(lines or ["it said nothing"])[:400]


def _restore(before: dict[str, str | None], links: dict[str, str]) -> None:
    for path in links:
        os.unlink(path)
    for path, text in before.items():
        if text is None:
            os.unlink(path)
        else:
            durable.write(Path(path), text)


def _run_server(work: Work, changed: bool) -> list[str]:
    adapter, site = find(work.site.server), work.site
    if not processes.parent_pid(adapter.pidfile(site)):
        run(adapter.start(site), "the server does not start", work.layout, timeout=60)
        return ["started the server"]
    if changed:
        run(adapter.reload(site), "the server does not reload", work.layout, timeout=60)
        return ["reloaded the server (other sites' requests that take over 3 s may have been cut)"]
    return []


def remove_temporary() -> None:
    """The directory that BOOT put the zipapp in."""
    folder = Path(sys.argv[0]).parent
    if folder.name.startswith("weft-") and Path(sys.argv[0]).name == "weft-host.pyz" and folder.parent == Path("/tmp"):
        shutil.rmtree(folder, ignore_errors=True)
