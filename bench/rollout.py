"""A fleet deployed by weft and by others, side by side: `python bench/rollout.py [--hosts 1,4,8] [--rtt 0,50] [--only weft,Ansible] [--until again] [--minutes 28] [--table FILE]`.

Real hosts (network namespaces, sshd, Apache with mod_wsgi), one application with a dependency from PyPI, four cells a fleet: the first deploy, a new version with
the same dependencies, the same deploy again, and the rollback. weft runs as it comes (canary, waves, two seconds' watch in each) and as the others do, in one
wave without a watch and with root's login (`weft at once`), where weft as it comes logs in as an account of its own and needs sudo. Seconds are those of the command, medians
of five for the same deploy again and the rollback where they take less than 5 s, and of three for the first deploy with up to 8 hosts, each to a fleet of new hosts. The tools take turns, each on a fleet of
its own (all of them with up to 8 hosts, weft at once and Fabric with more), since a shared machine's speed wanders by more than lies between some of them. CPU is the operator's, of the command and what it waited for; bytes are those that crossed
the hosts' network cables, both ways. After each run every host is asked what it serves; one that does not serve what it should ends the bench with 1.

The small fleets come first, the slow link before the quick one. A tool is left out of a fleet that it would not end with before `--minutes` are over, by what it took for a smaller one, and the
table says so; the whole matrix takes about three hours on two cores; `--until first` leaves out the cells after the first deploys. A tool that fails is named, and the bench ends with 1. Each cell is told when it is known,
the table of all of them at the end, also at Ctrl-C and SIGTERM, and with `--table` into a file after each fleet.

Needs root and what the system tests need; of Debian also capistrano. Ansible and pyinfra are installed from PyPI, the first time, into `weft-bench-rollout` of
the user's cache (110 MB; half a minute of processor).
"""

import argparse
import compileall
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / each) for each in ("src", ".")] + [str(HERE)]

import rollout_floor  # noqa: E402
from rollout_found import BASE, CELLS, Found  # noqa: E402
from rollout_peers import PEERS, ROOT, SITE  # noqa: E402

from tests.system.hosts import Fleet, missing  # noqa: E402
from tests.system.voyage import Voyage, crossed, tool  # noqa: E402

VERSIONS = {"first": "0.1.0", "new": "0.2.0", "again": "0.2.0", "rollback": "0.1.0"}
ENTRY = "import os\nos.environ['WEFT_SETTINGS'] = '/srv/app/current/app.ini'\nfrom hello.app import application\n"
LIMIT = 900
"""Seconds for one command."""
QUICK, TIMES = 5.0, 5
"""Seconds below which the same deploy again and the rollback are run so many times."""
FIRSTS = 3
"""How often hosts are made anew and deployed to, where they are few."""
CLOSE, FEW = (BASE, "Fabric"), 8
"""Tools that are always measured in turn; with so many hosts or fewer all of them are."""
ONCE = [kind.name for kind in PEERS if not kind.returns]


class Failed(Exception):
    """A tool did not do what it should."""


class NoFleet:
    """For the releases, which need no host."""

    hosts, key = (), "none"


def prepared(place):
    """A project with two releases, which each fleet's operator gets a copy of."""
    made = Voyage(place / "operator", NoFleet)
    project = made.new("hello")
    config = project / "pyproject.toml"
    config.write_text(config.read_text().replace("dependencies = []", 'dependencies = ["jinja2"]'))
    made.commit("A dependency")
    made.release("0.1.0")
    made.change("src/hello/app.py", "This is ", "Newer! This is ", "Newer.")
    made.release("0.2.0")
    return made.home


def measured(fleet, argv, cwd, env):
    """{seconds, cpu, bytes, said} of a command on the operator's network. Raises Failed with its words where it fails."""
    before, log = crossed(fleet), Path(cwd) / "bench.log"
    with log.open("wb") as out:
        start = time.monotonic()
        process = fleet.popen([str(word) for word in argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        late = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            late.cancel()  # its thread would keep the bench from its end
        seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(map(str, argv))} ended with {process.returncode}\n{log.read_text(errors='replace')[-4000:]}")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "bytes": crossed(fleet) - before, "said": log.read_text(errors="replace")}


def settled(operator, version):
    """Every host answers with it."""
    end = time.monotonic() + 15
    while (seen := operator.versions()) != [version] * len(operator.fleet.hosts):
        if time.monotonic() > end:
            raise Failed(f"{version} should be served everywhere; it is {seen}")
        time.sleep(0.2)


def operator_of(fleet, home, place):
    """A copy of the operator's home for this fleet."""
    made = Voyage.__new__(Voyage)
    shutil.copytree(home, place, symlinks=True)
    shutil.rmtree(place / ".ssh")
    Voyage.__init__(made, place, fleet)
    made.project = place / "hello"
    return made


def by_weft(fleet, home, place, one_wave):
    made = operator_of(fleet, home, place)
    made.environment(contains='"version": "{version}"', watch=0 if one_wave else 2)
    if one_wave:
        config = made.project / "deploy/production.toml"
        config.write_text(config.read_text().replace("[rollout]\n", '[rollout]\nwaves = ["100%"]\n').replace('user = "deploy"', 'user = "root"'))
    made.prepare()

    def run(cell, version):
        words = ["rollback", "--to", version, *(["--fast"] if one_wave else [])] if cell == "rollback" else ["deploy", "--version", version]
        figures = measured(fleet, [tool("fab"), *words], made.project, made.env)
        settled(made, version)
        return figures
    return run


def by_peer(kind, fleet, home, place, tools):
    made = operator_of(fleet, home, place)
    work = place / "peer"
    work.mkdir()
    for version in set(VERSIONS.values()):
        (work / "wheels" / version).mkdir(parents=True)
        store = made.project / "artifacts/hello" / version
        for wheel in [*store.glob("*.whl"), *store.glob("wheelhouse/*.whl")]:
            shutil.copy(wheel, work / "wheels" / version)
    (work / "app.ini").write_text("[page]\ngreeting = Hello\n")
    (work / "app.wsgi").write_text(ENTRY)
    for host in fleet.hosts:
        host.run(["sh", "-c", f"apachectl stop; rm -rf {ROOT}; mkdir -p {ROOT}/releases; cat > /etc/apache2/sites-available/app.conf; a2ensite -q app; "
                  "a2dissite -q 000-default; apachectl start"], input=SITE)
    peer = kind(work, fleet, tools)

    def run(cell, version):
        figures = measured(fleet, peer.command(cell, version), work, made.env)
        settled(made, version)
        return figures
    return run


def installed():
    """The bin directory with the others that come from PyPI, Fabric among them: made the first time, and used again when it is whole."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft-bench-rollout"
    if not (place / "whole").exists():
        print(f"installing Ansible, pyinfra and Fabric into {place}", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/pip", "install", "-q", "--disable-pip-version-check", "ansible-core", "pyinfra", "fabric"], check=True)
        (place / "whole").touch()
    return place / "bin"


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--hosts", default="1,4,8,16,32")
    words.add_argument("--rtt", default="0,50", help="milliseconds")
    words.add_argument("--only", default="", help="tools, by comma")
    words.add_argument("--until", choices=CELLS, default=CELLS[-1], help="the last cell that is measured")
    words.add_argument("--minutes", type=float, default=28, help="after which no fleet is begun")
    words.add_argument("--table", type=Path, help="a file for the table, written anew after each fleet")
    said = words.parse_args()
    lacks = missing() + [f"{each} (apt-get install capistrano)" for each in ("cap",) if not shutil.which(each)]
    if lacks:
        raise SystemExit("this machine lacks " + "; ".join(lacks))
    tools = [BASE, "weft", *(kind.name for kind in PEERS)]
    tools = [name for name in tools if not said.only or name in said.only.split(",")]
    groups = [(int(count), int(rtt), names) for count in said.hosts.split(",") for rtt in said.rtt.split(",") for names in at_once(tools, int(count))]
    place = Path(tempfile.mkdtemp(prefix="weft-bench-rollout-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(place, sorted(groups, key=rank), tools, said)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def rank(group):
    """Small fleets first, and the slow link before the quick one."""
    count, rtt, _names = group
    return count, -rtt


def at_once(tools, count):
    """The tools in groups that are measured in turn, each with its own fleet: all of them where the hosts are few, else those whose figures lie close."""
    together = tuple(name for name in tools if count <= FEW or name in CLOSE)
    return [group for group in (together, *((name,) for name in tools if name not in together)) if group]


def run(place, groups, tools, said):
    """1 where a tool failed, else 0. The minutes count from when all is there that the groups need."""
    found = Found(tools, said.table)
    bins = installed() if set(tools) - {BASE, "weft"} else None
    print("compiling weft, as pip has compiled the others, and making two releases", flush=True)
    compileall.compile_dir(HERE.parent / "src", quiet=2)
    home = prepared(place)
    cells = CELLS[:CELLS.index(said.until) + 1]
    try:
        measure(found, place, groups, time.monotonic() + said.minutes * 60, home, bins, cells)
    finally:
        print(found.text(), flush=True)
    return 1 if "failed" in found.left.values() else 0


def measure(found, place, groups, end, home, bins, cells):
    pace = {}
    for count, rtt, names in groups:
        if (begun := time.monotonic()) + pace.get(names, 0) * count > end:
            found.left.update({(count, rtt, name): "left out, for want of time" for name in names})
            continue
        for turn in reversed(range(FIRSTS if count <= FEW else 1)):
            group = Group(found, count, rtt)
            with group.fleets:
                fleet(group, names, lambda name: group.join(name, home, place / str(turn) / name.replace(" ", "-"), bins), cells[:1] if turn else cells)
                if BASE in group.runs and not turn:
                    group.floors(place / "0" / BASE.replace(" ", "-"))
            shutil.rmtree(place / str(turn), ignore_errors=True)
        pace[names] = max(pace.get(names, 0), (time.monotonic() - begun) / count) if count > 2 else 0
        found.keep()


def fleet(group, names, join, cells):
    """New hosts for each tool of the group, measured in these cells."""
    for name in names:
        if group.found.left.get((group.count, group.rtt, name)) != "failed":
            group.trying(name, lambda: join(name))
    for cell in cells:
        group.measure(cell)


class Group:
    """Some tools with a fleet each, all of which are there at once. fleets: an ExitStack that ends them.  runs: {tool: run(cell, version)}."""

    def __init__(self, found, count, rtt):
        self.found, self.count, self.rtt, self.fleets, self.runs = found, count, rtt, contextlib.ExitStack(), {}
        self.cells = found.results.setdefault((count, rtt), {})

    def join(self, name, home, at, bins):
        fleet = self.fleets.enter_context(Fleet(self.count, **({"rtt": self.rtt / 1000} if self.rtt else {})))
        kind = next((each for each in PEERS if each.name == name), None)
        self.runs[name] = by_peer(kind, fleet, home, at, bins) if kind else by_weft(fleet, home, at, name == BASE)
        if name == BASE:
            self.fleet = fleet

    def trying(self, name, work):
        """A tool that fails is named, and measured no more."""
        try:
            work()
        except (Failed, subprocess.SubprocessError) as error:
            self.runs.pop(name, None)
            self.found.left[self.count, self.rtt, name] = "failed"
            print(f"{self.count} hosts, {self.rtt} ms, {name}: failed: {error}", file=sys.stderr, flush=True)

    def measure(self, cell):
        """Once, and again where it was quick and can be had again; a rollback goes to and fro. The tools take turns, for a shared machine's speed wanders."""
        for turn in range(TIMES if cell in ("again", "rollback") else 1):
            for name in [each for each in self.runs if not turn or self.seen(each, cell)[0]["seconds"] < QUICK and not (cell == "rollback" and each in ONCE)]:
                self.trying(name, lambda: self.run(name, cell, VERSIONS["new"] if turn % 2 else VERSIONS[cell]))

    def seen(self, name, cell):
        return self.cells.setdefault(name, {}).setdefault(cell, [])

    def run(self, name, cell, version):
        figures = self.runs[name](cell, version)
        self.seen(name, cell).append(figures)
        if name == BASE:
            self.found.told.setdefault((self.count, self.rtt), {})[cell] = rollout_floor.steps(figures["said"])
        print(f"{self.count} hosts, {self.rtt} ms, {name}, {cell}: {figures['seconds']:.2f} s, CPU {figures['cpu']:.2f} s, {figures['bytes']:,} bytes", flush=True)

    def floors(self, at):
        self.found.fleets[self.count, self.rtt] = rollout_floor.together(self.fleet)
        if self.rtt not in self.found.floors:
            self.found.floors[self.rtt] = measured_floor(self.fleet, at)


def measured_floor(fleet, at):
    store = at / "hello/artifacts/hello/0.1.0"
    wheels = [each for each in store.rglob("*.whl") if not each.name.startswith("pip-")]
    return rollout_floor.floor(fleet, wheels, tool("fab"), at / "hello", {"HOME": str(at)})


if __name__ == "__main__":
    sys.exit(main())
