"""Forty publishers, each with a clone of its own, race for one version with everything built and staged: one wins whole."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections import Counter

import pytest

from tests import factory
from tests.release.vcs_world import finished, no_residue

PUBLISHERS = 40
CHILD = textwrap.dedent("""
    import shutil, sys
    from datetime import date
    from pathlib import Path
    from tests import factory
    from weft.release import pipeline, steps
    root, ready = map(Path, sys.argv[1:3])

    def built(work, version):
        for path in ready.iterdir():
            shutil.copyfile(path, work.dist / path.name)

    steps.RUN.update(test=lambda work, **words: None, build=built, verify=lambda work, **words: None)

    class AtThePush(factory.Quiet):
        def begin(self, number, of, step):
            if step.kind == "push":
                print("ready", flush=True)
                sys.stdin.readline()

    try:
        pipeline.release(pipeline.open_project(root), pipeline.Wish("1.1.4"), date(2024, 5, 6), AtThePush(), lambda proposal: None)
    except pipeline.WeftError as error:
        print(error.message)
        sys.exit(error.code)
""")


def publisher(made, ready):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(made.root), str(ready)], env=env, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow
@pytest.mark.parametrize("vcs", ["git", "hg"])
def test_one_wins(tmp_path, vcs):
    if vcs == "hg" and not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    made = factory.make_project(tmp_path / "project", vcs=vcs)
    sample = factory.make_project(tmp_path / "sample/project", remote=False)
    factory.run_release(sample, "1.1.4")
    ready = tmp_path / "ready"
    ready.mkdir()
    for path in (sample.store / "weaveserver/1.1.4").glob("weaveserver-1.1.4*"):
        shutil.copyfile(path, ready / path.name)
    clones = [made, *(made.colleague(tmp_path / f"clone-{number}") for number in range(PUBLISHERS - 1))]
    for number, clone in enumerate(clones):  # else those of one second would make the very same commit
        clone.introduce(f"Publisher {number}", f"p{number}@example.org")
    racers = [publisher(each, ready) for each in clones]
    said = [racer.stdout.readline() for racer in racers]
    assert said == ["ready\n"] * len(clones), said
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    last = [racer.communicate()[0] for racer in racers]
    codes = [racer.returncode for racer in racers]
    assert Counter(codes) == {0: 1, 4: len(clones) - 1}, last
    assert all(text.startswith("push: refused: ") for text, code in zip(last, codes) if code)
    winner = clones[codes.index(0)]
    finished(winner)
    for loser in clones:
        no_residue(loser)
        assert loser is winner or loser.tags() == {}
    assert os.listdir(made.store / "weaveserver") != [] and sorted(
        name for name in os.listdir(made.store / "weaveserver") if name[0].isdigit()) == ["1.1.4"]
