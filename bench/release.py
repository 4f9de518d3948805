"""What a developer waits for, by hand: `python bench/release.py [RUNS]`. Medians of wall-clock and CPU seconds, in one interleaved run.

The goals: a refusal and a plan below 0.3 s, a small release with its tests below 3 s, `inv --list` adding less than 50 ms
to Invoke's own start with an empty collection. CPU time says the same on a machine that is busy with other work.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / each) for each in ("src", ".")]
os.environ.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", HGRCPATH="")

from tests import factory  # noqa: E402

GOALS = {"refusal": 0.3, "plan": 0.3, "release": 3.0}


def timed(words, cwd, code):
    """(wall, CPU) seconds of one `inv words`; its exit code must be `code`."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": os.environ["XDG_CACHE_HOME"]}  # compiled once, as an installed one is
    start = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "invoke", *words], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    assert os.waitstatus_to_exitcode(status) == code, said
    return wall, usage.ru_utime + usage.ru_stime


def projects(place, vcs):
    """One that is clean, one that is refused."""
    out = {}
    for name in ("clean", "dirty"):
        made = factory.make_project(place / vcs / name / "project", vcs=vcs)
        made.write("tasks.py", "from weft.tasks.release import ns\n")
        made.commit("tasks")
        out[name] = made
    out["dirty"].write("src/weaveserver/app.py", "x = 1\n")
    return out


def measure(place, runs):
    """name -> list of (wall, CPU)."""
    kinds = ["git"] + (["hg"] if shutil.which("hg") else [])
    all_, times = {vcs: projects(place, vcs) for vcs in kinds}, {}
    (place / "empty").mkdir()
    (place / "empty/tasks.py").write_text("from invoke import Collection, task\n\n\n@task\ndef nothing(c):\n    pass\n\n\nns = Collection(nothing)\n")
    for _ in range(runs):
        rounds = [("invoke alone", ["--list"], place / "empty", 0), ("inv --list", ["--list"], all_["git"]["clean"].root, 0)]
        for vcs in kinds:
            rounds += [(f"refusal {vcs}", ["release", "--version", "1.1.4"], all_[vcs]["dirty"].root, 3),
                       (f"plan {vcs}", ["release", "--version", "1.1.4", "--plan"], all_[vcs]["clean"].root, 0)]
        for name, words, cwd, code in rounds:
            times.setdefault(name, []).append(timed(words, cwd, code))
    for number in range(max(3, runs // 4)):
        for vcs in kinds:
            made = all_[vcs]["clean"]
            made.changelog(f"1.2.{number}")
            times.setdefault(f"release {vcs}", []).append(timed(["release", "--version", f"1.2.{number}", "--yes"], made.root, 0))
    return times


def main(runs=15):
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as place:
        os.environ["XDG_CACHE_HOME"] = os.path.join(place, "cache")
        times = measure(Path(place), int(runs))
    medians = {name: tuple(statistics.median(each) for each in zip(*several)) for name, several in times.items()}
    base = medians["invoke alone"]
    print(f"{'':<14} {'wall s':>8} {'CPU s':>8} {'x invoke':>9}   goal (wall)")
    for name, (wall, cpu) in medians.items():
        goal = GOALS.get(name.split()[0])
        verdict = "" if goal is None else f"< {goal} s: {'yes' if wall < goal else 'no'}"
        print(f"{name:<14} {wall:8.3f} {cpu:8.3f} {wall / base[0]:9.2f}   {verdict}")
    added = [1000 * (medians["inv --list"][at] - base[at]) for at in (0, 1)]
    print(f"inv --list adds {added[0]:.0f} ms wall, {added[1]:.0f} ms CPU to Invoke's own start; < 50 ms: {'yes' if added[0] < 50 else 'no'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
