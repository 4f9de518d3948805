"""One run of `inv develop`: observe the working tree, the logs and the processes; decide; apply. It ends with Ctrl-C, and nothing of it stays."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator

from weft.develop import checkout, generation, marks, rundir, server, virtualenv
from weft.develop.checkout import Checkout
from weft.develop.screen import Log, Screen
from weft.develop.virtualenv import Virtualenv
from weft.develop.watch import PATTERNS, Tree, Watch
from weft.errors import FailedUndone, Interrupted, Refused, WeftError
from weft.host import commands, processes
from weft.host.layout import Layout
from weft.release import tools
from weft.servers.express import Httpd

TICK = 0.1
STARTS, STOPS = 60.0, 15.0
"""Seconds for Apache to listen, and to end its children."""
GONE = "nothing is served any more; what Apache had is removed"
DIED = ("the process ended while it imported the application: os._exit(), a signal such as SIGSEGV, or no memory\n"
        "now:  every request is answered with this\nnext: the log above has its last words; mend it and save\n")


@dataclass(frozen=True)
class Wish:
    """port: 0 for a free one.  venv: "" for one that is made.  watch: directories and patterns of names besides; with ! before it, a pattern of names that do not count."""

    env: str = ""
    port: int = 0
    venv: str = ""
    watch: tuple[str, ...] = ()


def develop(root: Path, wish: Wish, screen: Screen) -> None:
    """Serve until somebody ends it: never returns. Raises Interrupted then; Refused and UsageError for what is in the way before anything is served."""
    with hung_up():
        try:
            tree = checkout.read(root, wish.env)
            screen.line(tree.said)
            tree.secrets.fetch()
            number, there = server.port(wish.port), virtualenv.find(tree, wish.venv)
            httpd = server.choose(there.python, there.minor, there.path, tools.cache())
            virtualenv.fill(tree, there, screen.line, screen.live)
            screen.line(f"virtualenv {there.path}, Apache {httpd.program}, mod_wsgi for Python {there.minor}")
            with rundir.opened() as run:
                Session(tree, wish, there, httpd, number, run, screen).serve()
        except KeyboardInterrupt:
            raise Interrupted("stopped", "", GONE) from None
        except OSError as error:
            if screen.gone:
                raise Interrupted("nobody reads what is shown any more", "", GONE) from None
            raise FailedUndone(f"{error.filename or 'inv develop'}: {error.strerror}", "mend it, then run inv develop again", GONE) from None


@contextmanager
def hung_up() -> Iterator[None]:
    """A terminal that is closed ends it as Ctrl-C does."""
    before = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class Session:
    """What is served now: `number` counts the saves, `fault` is what stands against the last one before any process has tried it."""

    def __init__(self, tree: Checkout, wish: Wish, there: Virtualenv, httpd: Httpd, port: int, run: Path, screen: Screen):
        self.tree, self.wish, self.there, self.httpd, self.port, self.run, self.screen = tree, wish, there, httpd, port, run, screen
        self.layout = Layout(tree.site.app, str(run))
        self.account = pwd.getpwnam(_account(tree)) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.owner = (self.account.pw_uid, self.account.pw_gid) if os.geteuid() == 0 else None
        self.number, self.fault, self.wanted = 0, "", virtualenv.fingerprint(tree, there)
        self.asked: dict[int, float] = {}
        self.told: set[int] = set()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = Log(run / "error.log", run / "access.log", screen)

    def serve(self) -> None:
        """Raises KeyboardInterrupt when somebody ends it, FailedUndone when Apache does not start or ends by itself."""
        _readable(self.account, [self.tree.root / "pyproject.toml", self.tree.root / "weft.toml", self.there.interpreter])
        generation.prepare(self.layout, replace(self.tree.site, prefix=str(self.run)), self.owner)
        watch = Watch(self._watched())
        try:
            self.renew([])
            self._start()
            self.screen.line(f"serving {self.tree.root} at http://localhost:{self.port}/   (Ctrl-C ends it)", "1")
            while True:
                self.log.tell()
                if self.process and self.process.poll() is not None:
                    raise self._ended("Apache has ended")
                changes = watch.changes()
                if changes:
                    self.renew(changes)
                self.converge()
                time.sleep(TICK)
        finally:
            self._stop()

    def _watched(self) -> Tree:
        more = [Path(each).expanduser() for each in self.wish.watch if not each.startswith("!")]
        site, place = self.tree.site, self.tree.place
        files = [self.there.packages, *([self.tree.defaults] if self.tree.defaults else []),
                 *(Path(f"{place}{path}") for values in site.secret_files.values() for path in values.values())]
        return Tree((self.tree.root, self.tree.drop_ins, *(each.absolute() for each in more if each.is_dir())),
                    (*PATTERNS, *(str(each) for each in more if not each.is_dir())), tuple(files), tuple(each[1:] for each in self.wish.watch if each.startswith("!")))

    def renew(self, changes: list[str]) -> None:
        """The next generation of the working tree as it is now; what weft cannot read becomes what the browser is told."""
        self.number, self.fault = self.number + 1, ""
        if changes:
            self.screen.at(f"changed: {self._named(changes)}")
        try:
            self.tree = checkout.read(self.tree.root, self.wish.env, self.tree)
            text, self.log.hidden = checkout.settings(self.tree)
            record = checkout.record(self.tree)
        except WeftError as error:
            self._fail("\n".join([error.message, f"next: {error.hint}" if error.hint else ""]).strip() + "\n")
        except (OSError, UnicodeError) as error:  # a file that goes while it is read
            self._fail(f"{error}\n")
        else:
            generation.write(self.layout, self.number, self.tree.entry, record, text, self.owner)
        if virtualenv.fingerprint(self.tree, self.there) != self.wanted and not self.there.named:
            self.wanted = virtualenv.fingerprint(self.tree, self.there)
            self.screen.at("what is to be installed has changed: end this with Ctrl-C and start it again", "33")

    def _fail(self, text: str) -> None:
        self.fault = text
        generation.write_fault(self.layout, self.number, text, self.owner)

    def _named(self, changes: list[str]) -> str:
        names = [os.path.relpath(each, self.tree.root) for each in changes]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def converge(self) -> None:
        """Ends processes of an older generation, for good those that do not heed it, and tells what has come of the last one."""
        assert self.process
        uid, now = self.account.pw_uid, time.monotonic()
        seen = marks.look(self.layout, self.process.pid, uid)
        orders = marks.decide(seen, self.number, self.asked, self.told, now)
        for pids, by in ((orders.end, signal.SIGTERM), (orders.kill, signal.SIGKILL)):
            if pids:
                processes.terminate(set(pids), self.process.pid, uid, 0, by)
        for mark in seen.gone:
            self.asked.pop(mark.pid, None)
            self.told.discard(mark.pid)
        self.asked.update(dict.fromkeys(orders.end, now))
        if orders.died:
            self.number += 1
            self._fail(DIED)
        for mark in orders.news:
            self.told.add(mark.pid)
            self.log.tell()
            self._tell(mark)

    def _tell(self, mark: processes.Mark) -> None:
        if mark.state == "ready":
            return self.screen.at("the application is imported", "32")
        why = (self.fault or mark.text).strip().splitlines()
        line = self.log.shown((why[0] if self.fault else why[-1]) if why else "it cannot be imported")
        self.screen.at(f"broken: {line}; the browser shows it until the next save", "31")

    def _start(self) -> None:
        conf = self.run / "httpd.conf"
        conf.write_text(server.conf(self.run, self.layout, self.httpd, self.account.pw_name, self.there.path, self.port, self.tree.site.threads), encoding="utf-8")
        conf.chmod(0o600)
        setpriv = shutil.which("setpriv", path=commands.environment()["PATH"])
        # Should this process be killed, the kernel ends Apache. A session of its own: Ctrl-C is for us. No byte code: two saves in one second would
        # look alike to what it is compared by.
        bound = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv and commands.may_die_with_us() else []
        with (self.run / "apache.out").open("wb") as out:
            self.process = subprocess.Popen([*bound, str(self.httpd.program), "-f", str(conf), "-DFOREGROUND"], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, cwd="/", env={**commands.environment(), "PYTHONDONTWRITEBYTECODE": "1"}, start_new_session=True)
        deadline = time.monotonic() + STARTS
        while not _listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise self._ended("Apache did not start")
            time.sleep(TICK / 2)

    def _ended(self, what: str) -> WeftError:
        said = (self.run / "apache.out").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        self.log.tell()
        return FailedUndone("\n".join([what, *(f"    {line}" for line in said[-10:])]), "look at the lines above, then run inv develop again", "nothing is served")

    def _stop(self) -> None:
        """End Apache, and whatever is left of its session. A second Ctrl-C is not waited for."""
        process = self.process
        if process is None:
            return
        try:
            process.terminate()
            process.wait(STOPS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def _account(tree: Checkout) -> str:
    """Whom root's Apache serves as. Raises Refused."""
    try:
        return pwd.getpwnam(tree.site.account).pw_name
    except KeyError:
        raise Refused(f"account {tree.site.account!r} is not on this machine", "run inv develop as yourself: it needs no root") from None


def _readable(account: Any, paths: list[Path]) -> None:
    """Started by root, Apache serves as somebody else. Raises Refused where that one cannot read what it should serve."""
    for path in (each for each in paths if os.geteuid() == 0 and each.exists()):
        if subprocess.run(["test", "-r", str(path)], user=account.pw_uid, group=account.pw_gid, extra_groups=[], check=False).returncode:
            raise Refused(f"root's Apache serves as {account.pw_name}, who cannot read {path}",
                          "run inv develop as the developer whose files these are: it needs no root")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
