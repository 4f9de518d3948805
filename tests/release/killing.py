"""Kill a release at its Nth act (see act.py), or at a moment, and look at what is left. The sweeps of tests and bench share this.

The releases are forked from one process that has imported everything (`Nursery`), which saves each of them the start of an interpreter.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests import factory
from tests.release import act
from tests.release.vcs_world import finished, no_residue, nothing_half_done, pushed

_CHANGING = {"clone", "checkout", "commit", "tag", "fetch", "push", "update-ref", "merge", "read-tree", "checkout-index",
             "update", "archive", "pull", "bookmark", "recover"}
_LIMIT = 900
"""Seconds after which a release that hangs is ended, which fails its test; what a killed one had started may take half of that on a busy machine."""
_STRIDE = 8
"""How many removals of one scratch directory lie between two kills."""


def dies_removing(root, at):
    """In the child: release 1.1.4, killed before removal number `at` of its scratch directory."""
    from weft.release import pipeline
    count = act.Count(at)
    count.removing = False

    def hook(event, words):
        count.removing |= event == "shutil.rmtree" and Path(str(words[0])).name.startswith("scratch-")
        if count.removing and event in act.REMOVALS:
            count(event)
    project = pipeline.open_project(Path(root))
    sys.addaudithook(hook)
    pipeline.release(project, pipeline.Wish("1.1.4"), factory.date(2024, 5, 6), factory.Quiet(), lambda proposal: None)
    count.on = False


def die(root, at):
    """In the child: release 1.1.4, killed before act number `at`; the acts, one a line."""
    from weft.release import hgserver, pipeline
    count = act.Count(at)
    communicate, said, answer = subprocess.Popen.communicate, hgserver.Server._said, hgserver.Server._answer

    def running(self, *words, **named):
        if _CHANGING & set(map(str, self.args)):
            count("running " + " ".join(map(str, self.args))[-60:])
        return communicate(self, *words, **named)

    def ordered(self, words, deadline):
        self.changing = _CHANGING & set(words)
        self.changing and count("hg " + " ".join(words)[-60:])
        return said(self, words, deadline)

    def carried_out(self, deadline):
        self.changing and count("hg carries it out")
        return answer(self, deadline)
    subprocess.Popen.communicate, hgserver.Server._said, hgserver.Server._answer = running, ordered, carried_out
    project = pipeline.open_project(Path(root))
    sys.addaudithook(lambda event, words: count(event) if act.is_act(event, words) else None)
    pipeline.release(project, pipeline.Wish("1.1.4"), factory.date(2024, 5, 6), factory.Quiet(), lambda proposal: None)
    count.on = False
    print("\n".join(count.acts), flush=True)


def again(root, _):
    """In the child: the same command."""
    from weft.release import pipeline
    pipeline.release(pipeline.open_project(Path(root)), pipeline.Wish("1.1.4"), factory.date(2024, 5, 6), factory.Quiet(), lambda proposal: None)


class Nursery:
    """A process that forks releases. warm: the programs that weft starts by `python -m` are forked too, with what they need imported."""

    def __init__(self, warm=True):
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
        env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self.child = subprocess.Popen([sys.executable, "-m", "tests.release.killing", *(["warm"] if warm else [])], env=env, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _ask(self, *words):
        print(json.dumps(words), file=self.child.stdin, flush=True)
        return json.loads(self.child.stdout.readline())

    def start(self, what, made, at=-1):
        """The pid of a release of that project, the leader of a group of its own."""
        return self._ask(what, str(made.root), at)

    def end(self, pid):
        """(its exit code, what it said)."""
        code, log = self._ask("wait", pid, 0)
        return code, Path(log).read_text() if os.path.exists(log) else ""  # one that was killed at once said nothing

    def close(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


def _serve(warm):
    import tempfile

    from weft.release import git, hg, lockfile, pipeline, steps  # noqa: F401  (imported before the acts are counted)
    from weft.stores import directory  # noqa: F401
    lockfile._PATIENCE = _LIMIT / 2
    if warm:
        from tests.release import warm as warmth
        warmth.up()
    with tempfile.TemporaryDirectory() as place:
        for line in sys.stdin:
            what, root, at = json.loads(line)
            if what == "wait":
                code = os.waitstatus_to_exitcode(os.waitpid(root, 0)[1])
                print(json.dumps([code, f"{place}/{root}"]), flush=True)
            else:
                print(json.dumps(_born(what, root, at, place)), flush=True)


def _born(what, root, at, place):
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.alarm(_LIMIT)
        said = os.open(f"{place}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(said, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        globals()[what](root, at)
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def template(place, vcs, nursery, **words):
    """A project that `trial` copies, with the acts of its release and the seconds that it takes. words: as for make_project."""
    made = factory.make_project(place / "template/project", vcs=vcs, relative=True, **words)
    acts, seconds = [], 0.0
    for _ in range(2):
        copied = copy(made, place / "counted")
        start = time.monotonic()
        code, said = nursery.end(nursery.start("die", copied))
        seconds = time.monotonic() - start
        acts = said.splitlines()
        assert code == 0 and act.event(acts[0]) in ("fcntl.flock", "os.mkdir"), said
        finished(copied)
        shutil.rmtree(place / "counted")
    return made, acts, seconds


def copy(made, place):
    shutil.copytree(made.root.parent, place, symlinks=True)
    return replace(made, root=place / "project", store=place / "artifacts", remote=place / made.remote.name)


def trial(nursery, made, place, at, seconds, seed):
    """One kill and what follows. at: the act's number, None for a moment within `seconds`. What happened, as a word.

    The whole group is killed, or the release alone, whose children then go on for a while. After it the release is taken
    back where that is possible and the seed says so; in any case the same command then finishes.
    """
    dice = random.Random(seed)
    copied = copy(made, place)
    running = nursery.start("die", copied, -1 if at is None else at)
    if at is None:
        time.sleep(dice.uniform(0, seconds))
        os.kill(running, signal.SIGKILL)
    code, said = nursery.end(running)
    assert code in (0, -signal.SIGKILL), said
    if dice.random() < 0.5:
        _end_group(running)
    sent, published = _together(copied)
    aborted = not sent and dice.random() < 0.5 and _aborted(copied)
    code, said = nursery.end(nursery.start("again", copied))
    assert code == 0, said
    finished(copied)
    shutil.rmtree(place, ignore_errors=True)
    return "published" if published else "pushed" if sent else "aborted" if aborted else "not pushed"


def _together(made, patience=30):
    """nothing_half_done. A push that outlives its release may fall between two of our looks, so branch and tag are then read again."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return nothing_half_done(made)
        except AssertionError as error:
            if "did not move together" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def while_removing(nursery, made, place, acts):
    """A release that is done is killed before the first removal of its scratch directory, the same command after some more of them,
    and so on until there is nothing left to remove. How many kills that took."""
    copied = copy(made, place)
    kills, code, said = 0, *nursery.end(nursery.start("die", copied, act.parted(acts)[1][0]))
    while code == -signal.SIGKILL:
        kills += 1
        assert nothing_half_done(copied) == (True, True) and kills <= len(acts)
        code, said = nursery.end(nursery.start("dies_removing", copied, _STRIDE))
    assert code == 0, said
    finished(copied)
    return kills


def _aborted(made):
    from weft.errors import Refused
    from weft.release import lockfile, pipeline, unfinished
    usual, lockfile._PATIENCE = lockfile._PATIENCE, _LIMIT / 2
    try:
        unfinished.abort(pipeline.open_project(made.root))
    except Refused as error:
        assert pushed(made), error.message
        return False
    finally:
        lockfile._PATIENCE = usual
    assert not pushed(made) and made.tags() == {} and made.dirty() == ""
    no_residue(made)
    return True


def _end_group(leader):
    """All of it but git's receiving end: that is the remote's, on a machine of its own, and git moves its refs one after the other there."""
    group, parents = set(), {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent, its_group = map(int, (folder / "stat").read_text().rpartition(")")[2].split()[1:3])
                parents[int(folder.name)] = parent
                if its_group == leader:
                    group.add(int(folder.name))
    remote = {pid for pid in group if _receives(pid)}
    while more := {pid for pid in group - remote if parents[pid] in remote}:
        remote |= more
    for pid in group - remote:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _receives(pid):
    try:
        return b"receive-pack" in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return False


if __name__ == "__main__":
    _serve("warm" in sys.argv)
