"""Kill a release at its Nth act, or at a moment, and look at what is left. The sweeps of tests and bench share this.

An act is an audit event of the interpreter: a program started, a file opened for writing, renamed, made, removed. So the
pipeline has no fail point of its own, and no act can be forgotten. Run as a program it is the release that dies.
"""

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
from tests.release.vcs_world import finished, no_residue, nothing_half_done, pushed

_ACTS = {"subprocess.Popen", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.symlink", "os.link", "os.truncate",
         "shutil.copyfile", "shutil.rmtree", "fcntl.flock"}


def _is_act(event, words):
    """Whether an audit event may change something; what goes to /dev or /proc does not."""
    if event == "open":
        return isinstance(words[2], int) and words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not str(words[0]).startswith("/dev")
    return event in _ACTS


def die(root, at):
    """In the child: release 1.1.4, killed before act number `at` (-1: at none; prints what each act was)."""
    from datetime import date

    from weft.release import git, hg, pipeline  # noqa: F401  (imported before the acts are counted)
    acts = []

    def watch(event, words):
        if _is_act(event, words):
            acts.append(event)
            if len(acts) - 1 == at:
                os.kill(os.getpid(), signal.SIGKILL)
    project = pipeline.open_project(Path(root))
    sys.addaudithook(watch)
    pipeline.release(project, pipeline.Wish("1.1.4"), date(2024, 5, 6), factory.Quiet(), lambda proposal: None)
    print(" ".join(acts), flush=True)
    os._exit(0)


def template(place, vcs):
    """A project that `trial` copies, with its release's acts worth a kill and its seconds.

    Of the many removals of one tree every tenth is enough.
    """
    made = factory.make_project(place / "template/project", vcs=vcs, relative=True)
    acts, seconds = [], 0.0
    for _ in range(2):
        copied = copy(made, place / "counted")
        start = time.monotonic()
        said = child(copied, -1).communicate()[0]
        seconds = time.monotonic() - start
        assert said.startswith("fcntl.flock ") or said.startswith("os.mkdir "), said
        removals = 0
        acts = [at for at, event in enumerate(said.split())
                if event not in ("os.remove", "os.rmdir") or (removals := removals + 1) % 10 == 0]
        finished(copied)
        shutil.rmtree(place / "counted")
    return made, acts, seconds


def copy(made, place):
    shutil.copytree(made.root.parent, place, symlinks=True)
    return replace(made, root=place / "project", store=place / "artifacts", remote=place / made.remote.name)


def child(made, at):
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen([sys.executable, "-m", "tests.release.killing", str(made.root), str(at)], env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def trial(made, place, at, seconds, seed):
    """One kill and what follows. at: the act's number, None for a moment within `seconds`. What happened, as a word.

    The whole group is killed, or the release alone, whose children then go on for a while. After it the release is taken
    back where that is possible and the seed says so; in any case the same command then finishes.
    """
    dice = random.Random(seed)
    copied = copy(made, place)
    running = child(copied, -1 if at is None else at)
    if at is None:
        time.sleep(dice.uniform(0, seconds))
        os.kill(running.pid, signal.SIGKILL)
    running.wait()
    if dice.random() < 0.5:
        _end_group(running.pid)
    running.stdout.close()
    sent, published = nothing_half_done(copied)
    aborted = not sent and dice.random() < 0.5 and _aborted(copied)
    factory.run_release(copied, "1.1.4")
    finished(copied)
    shutil.rmtree(place, ignore_errors=True)
    return "published" if published else "pushed" if sent else "aborted" if aborted else "not pushed"


def _aborted(made):
    from weft.errors import Refused
    from weft.release import pipeline, unfinished
    try:
        unfinished.abort(pipeline.open_project(made.root))
    except Refused as error:
        assert pushed(made), error.message
        return False
    assert not pushed(made) and made.tags() == {} and made.dirty() == ""
    no_residue(made)
    return True


def _end_group(leader):
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    die(sys.argv[1], int(sys.argv[2]))
