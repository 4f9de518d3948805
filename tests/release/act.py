"""The acts of a release at which the sweeps kill it.

An act is an audit event of the interpreter (a program started, a file opened for writing, renamed, made, removed), a program that
changes something and has just begun, and a command to Mercurial's server, before it is sent and while it is carried out. So the pipeline
has no fail point of its own, and no act can be forgotten. Each is one line: what it is, and the lines of weft that led to it.
"""

import os
import signal
import sys

from tests.release import memory

_EVENTS = {"subprocess.Popen", "os.fork", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.symlink", "os.link", "os.truncate",
           "shutil.copyfile", "shutil.rmtree", "fcntl.flock"}
REMOVALS = {"os.remove", "os.rmdir"}
_BY = "  by "


def is_act(event, words):
    """Whether an audit event may change something; what goes to a device does not."""
    if event == "open":
        device = str(words[0]).startswith("/dev/") and not str(words[0]).startswith(f"{memory.MOUNT}/")
        return isinstance(words[2], int) and words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not device
    return event in _EVENTS


class Count:
    """Dies at one of the acts (-1: at none)."""

    def __init__(self, at):
        self.at, self.acts, self.on = at, [], True
        self.pid = os.getpid()

    def __call__(self, event):
        if not self.on or os.getpid() != self.pid:
            return
        self.acts.append(" ".join(event.split()) + _BY + _way(sys._getframe(1)))
        if len(self.acts) - 1 == self.at:
            os.kill(self.pid, signal.SIGKILL)


def _way(frame):
    """The lines of weft that led there, the outermost first."""
    found = []
    while frame:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("weft."):
            found.append(f"{name.removeprefix('weft.')}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " ".join(reversed(found))


def event(act):
    """The first word of what an act is."""
    return act.split()[0]


def step(act):
    """The step of the pipeline that an act belongs to; "" before and after them."""
    return next((each.partition(":")[0] for each in act.partition(_BY)[2].split() if each.startswith("release.steps.")), "")


def parted(acts):
    """(the numbers of all acts but those, of the removals of the scratch directory at the end of a release that is done)."""
    last = max(at for at, each in enumerate(acts[:-1]) if event(each) not in REMOVALS)
    return [*range(last + 1), len(acts) - 1], range(last + 1, len(acts) - 1)


def one_of_each(acts, own=("",)):
    """The numbers of one act of each kind, without those of the scratch directory's removal.

    Of a kind are acts of one event from the same lines of weft: the files of a list, of which the last is taken, when the others are there.
    own: where each line counts, as "release.hg"; of what else is done, which the other version control's sweep takes line by line, one act of
    each event in each step is taken. Two kinds are left out, since a kill there leaves what a kill at a neighbour leaves: an act right after a program was started
    that only reads, and a file's mode, which is set before the file is renamed or the next one is written."""
    last = {}
    for at in parted(acts)[0]:
        what, _, way = acts[at].partition(_BY)
        last[event(what), way if any(each in way for each in own) else step(acts[at])] = at
    return [at for at in sorted(last.values()) if not (at and _only_reads(acts, at - 1)) and event(acts[at]) != "os.chmod"]


def _only_reads(acts, at):
    """Whether an act is the start of a program that changes nothing: a changing one is met once more when it has begun."""
    return event(acts[at]) == "subprocess.Popen" and "release.run.ask:" in acts[at] and event(acts[at + 1]) != "running"
