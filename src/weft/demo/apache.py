"""An Apache for the demo: the system's where it fits, else mod_wsgi-standalone from the package index, kept for later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from weft.errors import Refused
from weft.servers.express import standalone, system_fits

SYSTEM_PYTHON = "/usr/bin/python3"


def python() -> str:
    """The Python that the demo's application runs on: the distribution's where its Apache loads it, else this one."""
    return SYSTEM_PYTHON if system_fits(SYSTEM_PYTHON) else os.path.realpath(sys.executable)


def provide(prefix: Path, say: Callable[[str], None], live: Callable[[str], None]) -> str:
    """See that there is an Apache for `python()` below the prefix; what it is. say: a line that stays; live: one that moves.

    Raises Refused with the last lines where it cannot be compiled."""
    if system_fits(python()):
        return f"the system's Apache with mod_wsgi, which loads {python()}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft"
    home = cache / f"apache-{sys.version_info[0]}.{sys.version_info[1]}"
    link = prefix / "opt" / "apache"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(home)
    if not standalone(str(prefix)):
        if not shutil.which("cc") and not shutil.which("gcc"):
            raise Refused("there is neither an Apache with mod_wsgi for this Python nor a C compiler to build one",
                          "apt-get install -y apache2 libapache2-mod-wsgi-py3, or apt-get install -y gcc make")
        say("  there is no Apache with mod_wsgi for this Python: compiling mod_wsgi-standalone, once; it takes some minutes")
        _compile(home, live)
    return f"mod_wsgi-standalone from the package index, in {home}"


def _compile(home: Path, live: Callable[[str], None]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    log = home.with_suffix(".log")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    start = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen([str(home / "bin/pip"), "install", "--disable-pip-version-check", "mod_wsgi-standalone"],
                                   stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                live(f"  compiling Apache and mod_wsgi: {time.monotonic() - start:.0f} s")
                time.sleep(0.5)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        raise Refused("mod_wsgi-standalone could not be compiled:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]),
                      f"apt-get install -y apache2 libapache2-mod-wsgi-py3 instead; the whole log is {log}")
