"""The power is cut at every moment of every transaction, and the disk is left in every way that the syncs until then allow.

The operations are those of a real engine on a real host (`recorder`); the disks are replayed (`power_cut`) and recovered as at a boot.
The second test takes away one sync after the other, and wants to see a bad disk for each."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.host import power_cut
from tests.host.bench_host import SOURCE, HostUnderPrefix, missing
from weft.host import fingerprint, kept, recover, trial
from weft.host.layout import Layout
from weft.journal import Journal

ROOT = SOURCE.parent
pytestmark = pytest.mark.slow


class Act:
    """One verb that ran to its end. serves: the generations that may be served while it runs, after recovery.  at_end: what must be
    served once it has ended well.  Then also: kept, what must be in the cache; staged, a generation that must be there; flips, what
    the links must say before any recovery."""

    def __init__(self, name, serves, at_end, kept=(), staged=None, flips=None):
        self.name, self.serves, self.at_end, self.kept, self.staged, self.flips = name, serves, at_end, kept, staged, flips


class Chain:
    """Commands one after the other, from one disk on: what an earlier one left unsafe, a later one may suffer from."""

    def __init__(self, base, acts, outs):
        self.base, self.acts = base, acts
        self.ops, self.ends = power_cut.read(outs)
        records = [json.loads(content) for path, content in base.contents.items() if path.endswith("/record.json")]
        self.served_once = {each["release"] for each in records if each["number"] and each["status"] in ("good", "bad")}

    def act(self, moment):
        """(the command that runs at a moment, whether it has just ended)."""
        number = next(n for n, end in enumerate(self.ends) if moment <= end)
        return self.acts[number], moment == self.ends[number]


class Recording:
    """A host on which each transaction runs, recorded."""

    def __init__(self, place):
        self.host, self.place, self.count = HostUnderPrefix(), place, 0
        self.host.site.update(watch=0, confirm=600)
        self.host.ok("setup")

    def begin(self):
        self.host.ok("observe", release=None)  # what a look writes, it has written
        self.base, self.acts, self.outs = power_cut.Base(self.host.prefix, self.place / f"{self.count}.base"), [], []

    def end(self):
        return Chain(self.base, self.acts, self.outs)

    def ask(self, verb, serves, at_end, blobs=(), kept=(), staged=None, flips=None, refused="", **words):
        self.count += 1
        out = self.place / f"{self.count}-{verb}"
        request = {"protocol": 1, "verb": verb, "app": "shop", "by": "power@here", "site": self.host.site, **words}
        done = subprocess.run([sys.executable, "-m", "tests.host.recorder", str(out), "--prefix", str(self.host.prefix)],
                              input=json.dumps(request).encode() + b"\n" + b"".join(blobs), capture_output=True, cwd=ROOT,
                              env={**os.environ, "PYTHONPATH": f"{SOURCE}:{ROOT}", "WEFT_TEST_REFUSED": refused}, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        self.acts.append(Act(f"{self.count}-{verb}", serves, at_end, kept, staged, flips))
        self.outs.append(out)

    def stage(self, release, content, number, live):
        wanted = self.host.ok("observe", release=release.to_json())["missing"]
        self.ask("stage", {live}, live, [content[d] for d in wanted], wanted, staged=number, release=release.to_json(), base=live,
                 files=[{"sha256": d, "size": len(content[d])} for d in wanted])

    def deploy(self, release, content, number):
        before = number - 1
        self.stage(release, content, number, before)
        self.ask("activate", {before}, before, flips=number, generation=number, base=before)
        self.ask("confirm", {before, number}, number, generation=number)

    def voyage(self):
        """Two deploys, files that were lost and come again, a rollback that is taken back, and one that stays."""
        self.begin()
        self.deploy(*self.host.release("1.0"), 1)
        second, content = self.host.release("1.1", settings="[shop]\ncolour = blue\n")
        self.deploy(second, content, 2)
        self.ask("rollback", {2}, 2, flips=1, to="", base=2)
        self.ask("revert", {2}, 2, flips=2, generation=1)
        self.ask("rollback", {2}, 2, flips=1, to="", base=2)
        self.ask("confirm", {1, 2}, 1, generation=1)
        return self.end()

    def again(self):
        """Files come once more for a release that is installed; and a confirmation whose record finds no room."""
        (self.host.root / "cache" / (release := self.host.release("1.1", settings="[shop]\ncolour = blue\n"))[0].of_kind("wheel")[0].sha256).unlink()
        self.begin()
        self.stage(*release, 2, 1)  # the generation of before serves again
        self.ask("activate", {1}, 1, flips=2, generation=2, base=1)
        self.ask("confirm", {1, 2}, 2, refused="record.json", generation=2)
        return self.end()

    def pruned(self):
        """Enough releases for the oldest to go."""
        for number in range(4, 10):
            release, content = self.host.release(f"2.{number}")
            code, last = self.host.deploy(release, content, confirm=number < 9)
            assert code == 0, last
        self.begin()
        self.ask("confirm", {7, 8}, 8, generation=8)
        return self.end()


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    recording = Recording(tmp_path_factory.mktemp("power"))
    try:
        yield {"voyage": recording.voyage(), "again": recording.again(), "pruned": recording.pruned()}
    finally:
        recording.host.close()


def generations(layout):
    return {int(n): layout.generation(int(n)) for n in os.listdir(layout.root / "generations") if n.isdigit()}


def whole(layout, number):
    """What is wrong with a generation, "" for nothing: its release is sealed and undamaged, its settings are the ones sealed with it."""
    place = layout.generation(number)
    try:
        said = json.loads((place / "record.json").read_text())
    except (OSError, ValueError) as error:
        return f"record of {number}: {error}"
    release = place / "release"
    if not (release / "SEAL").exists() or (release / "DAMAGED").exists() or not (release / "whole").exists() and number:
        return f"generation {number} is of a release that is not whole: {sorted(os.listdir(release)) if release.exists() else 'gone'}"
    if not (release / "SEAL").read_text().strip():
        return f"the seal of generation {number} is empty"
    if said["settings"]:
        try:
            text = (place / "settings.ini").read_bytes()
        except OSError as error:
            return f"settings of {number}: {error}"
        if not fingerprint.same(layout.state, said["settings"], text):
            return f"settings of generation {number} are not the sealed ones: {text!r}"
    return ""


def sealed(layout):
    """The trees that a next deploy would take as they are."""
    return [tree for folder in power_cut.TREES for tree in (layout.root / folder).iterdir() if (tree / "SEAL").exists()]


def served(layout):
    """The generation that Apache would serve, by the links alone."""
    return int(os.path.basename(os.readlink(layout.live.resolve() / "generation")))


def judge(act, ended, layout, served_once=()):
    """What is wrong with a disk, as sentences: before anything is recovered, and after it."""
    number = served(layout)
    bad = [whole(layout, number)]
    if ended and act.flips is not None and number != act.flips:
        bad.append(f"the links say generation {number}, not {act.flips}")
    recover.recover(layout, Journal(layout.state / "journal.jsonl"))
    number = served(layout)
    if number not in act.serves or ended and number != act.at_end:
        bad.append(f"generation {number} is served, not {sorted(act.serves)} (at the end {act.at_end})")
    said = {each: json.loads((place / "record.json").read_text()) for each, place in generations(layout).items()}
    bad += [whole(layout, each) for each in said]
    bad += [f"{tree} is sealed and not whole" for tree in sealed(layout) if not (tree / "whole").exists() or not (tree / "SEAL").read_text().strip()]
    if number and said[number].get("status") != "good":
        bad.append(f"generation {number} is served and is {said[number].get('status')}")
    if any(each["status"] == "pending" for each in said.values()) or recover.residue(layout) or layout.trial.exists():
        bad.append(f"not settled: {said}, {recover.residue(layout)}, a trial: {layout.trial.exists()}")
    bad += [f"{path.name[:8]} in the cache is not what it says" for path in layout.cache.iterdir()
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]
    for name in os.listdir(kept.folder(layout)) if kept.folder(layout).exists() else ():
        kept.load(layout, name.removesuffix(".json"))
    bad += [f"nobody knows any more what became of {release}" for release in served_once if release not in {each["release"] for each in said.values()}
            and json.loads((kept.folder(layout) / f"{release}.json").read_text())["status"] not in ("good", "bad")]
    if ended:
        bad += [f"{digest[:8]} is not in the cache" for digest in act.kept if not (layout.cache / digest).exists()]
        if act.staged is not None:
            kept.load(layout, said[act.staged]["release"])
    return [each for each in bad if each]


def noted(chain, moment, layout):
    """What the journal and the history had said to be durable by then, and do not say any more."""
    bad = []
    for path in ("journal.jsonl", "history.jsonl"):
        known = b""
        for at, op in enumerate(chain.ops[:moment]):
            if op["op"] == "data" and op["path"].endswith(path) and any(
                    later["op"] == "fsync" and later["ino"] == op["ino"] for later in chain.ops[at + 1:moment - 1]):
                known = op["content"]
        here = layout.state / path
        if known and (not here.exists() or not here.read_bytes().startswith(known)):
            bad.append(f"{path} lost lines")
    return bad


def faults(chain, place, ops=None, moments=None):
    """(number of disks, sentences). ops: others than those that were recorded; then the first fault is enough."""
    seen, bad = set(), []
    for moment in moments or range(len(chain.ops) + 1):
        act, ended = chain.act(moment)
        for disk in power_cut.disks(chain.base, ops or chain.ops, moment):
            key = (power_cut.name(*disk), act.name, ended)
            if key in seen:
                continue
            seen.add(key)
            here = place / str(len(seen))
            here.mkdir()
            power_cut.make(disk, here)
            layout = Layout("shop", str(here))
            found = noted(chain, moment, layout)
            try:
                found += judge(act, ended, layout, chain.served_once)
            except Exception as error:  # a recovery that fails is the worst of all
                found.append(f"{type(error).__name__}: {error}")
            if found:
                bad.append(f"{act.name} cut after {moment} ({describe(chain.ops[moment - 1]) if moment else 'nothing'}), {here}: {found}")
                if ops:
                    return len(seen), bad
            else:
                shutil.rmtree(here)
    return len(seen), bad


def describe(op):
    return " ".join(str(op[key]) for key in ("op", "path", "src", "dst", "by") if key in op)


@pytest.fixture
def shelf():
    """Where the disks are written, in memory if it may be."""
    place = Path(tempfile.mkdtemp(prefix="weft-power-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield place
    shutil.rmtree(place)


@pytest.fixture(autouse=True)
def another_boot(monkeypatch):
    """Who recovers has booted since."""
    monkeypatch.setattr(trial, "boot_id", lambda: "another-boot")
    monkeypatch.setattr(recover.orphans, "end", lambda layout: [])
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # the replayed disks need not survive this machine


CHAINS = ("voyage", "again", "pruned")


@pytest.mark.parametrize("name", CHAINS)
def test_no_cut_leaves_anything_but_the_old_or_the_new(chains, shelf, name):
    chain = chains[name]
    disks, bad = faults(chain, shelf)
    print(f"{name}: {len(chain.ops)} operations, {disks} disks, {len(bad)} bad")
    assert not bad, "\n".join(bad[:20])
    assert disks >= {"voyage": 400, "again": 100, "pruned": 30}[name]


def soon(chain, at):
    """The moments at which a sync that was left out is missed: when a command has ended, and those that follow it."""
    ends = [end for end in chain.ends if end > at]
    return list(dict.fromkeys([*ends[:3], *range(at + 1, min(at + 30, len(chain.ops) + 1))]))


def test_without_any_single_sync_a_disk_is_bad(chains, shelf):
    """By the line that asks for it: wherever it is left out once, some disk is bad."""
    red = {}
    for name, chain in chains.items():
        for at, op in enumerate(chain.ops):
            if op["op"] in power_cut.SYNCS and not red.get(f"{op['by']} {op['op']}"):
                place = shelf / f"{name}-{at}"
                place.mkdir()
                without = [{"op": "none"} if number == at else each for number, each in enumerate(chain.ops)]
                red[f"{op['by']} {op['op']}"] = bool(faults(chain, place, without, soon(chain, at))[1])
    print("\n".join(f"{by}: {'red' if found else 'GREEN'}" for by, found in red.items()))
    assert [by for by, found in red.items() if not found] == []
    assert len(red) >= 20
