"""An extension of Mercurial: its process dies by SIGKILL at one of the acts of some commands, as the audit events of its interpreter tell them.

The file that HG_DIES names says at which act of which commands: "7 update bookmark"; it is renamed to say that it happened. To open a file anew is
two acts: it is not opened yet, and it is open and empty. Caches and files that only try the file system are left out.
"""

import os
import re
import sys
from signal import SIGKILL

ACTS = {"os.rename", "os.rmdir", "os.remove", "os.symlink", "os.link", "os.truncate"}
COMMANDS = ("push", "pull", "update", "bookmarks", "recover")
NOTHING = re.compile(r"\.hg/(tmp|w?cache|store/(tmp|cache))")
ORDER = os.environ.get("HG_DIES", os.devnull)
order, left, on = "", 0, False


def act(what, first=None):
    """left: how many acts there are until it dies."""
    global left
    left -= 1
    if left == 0:
        first and first()
        with open(ORDER, "w") as told:
            told.write(what)
        os.rename(ORDER, ORDER + ".done")
        os.kill(os.getpid(), SIGKILL)


def hook(event, words):
    opened = event == "open" and isinstance(words[2], int) and words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if not on or left < 1 or not (opened or event in ACTS):
        return
    path = os.fsdecode(words[0] if isinstance(words[0], (str, bytes)) else b"")
    if not NOTHING.search(path):
        act(f"{event} {path}")
        if opened and path and words[2] & os.O_TRUNC:
            act(f"{event} {path}, empty", lambda: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))


def extsetup(ui):
    from mercurial import commands, extensions

    def counted(name):
        def run(original, *words, **named):
            global order, left, on
            text = open(ORDER).read() if os.path.exists(ORDER) else ""
            if text != order:
                order, left = text, int(text.partition(" ")[0] or 0)
            on = name in text.split()
            try:
                return original(*words, **named)
            finally:
                on = False
        extensions.wrapcommand(commands.table, name.encode(), run)
    for name in COMMANDS:
        counted(name)
    sys.addaudithook(hook)
