"""What a deploy costs at the least, measured on a host of the bench: a connection, the link, unpacking the wheels, compiling them, and the starts of programs.

And where weft's own seconds go, as its engine has told them step by step.
"""

import collections
import re
import statistics
import sys
import time

STEP = re.compile(r"^web\d+: (.+) \(([\d.]+) s\)$", re.M)
TIMES = 3
CONNECTED = """
import logging, sys, time
from fabric import Connection
address, key, known, answer = sys.argv[1:]
start = time.monotonic()
link = Connection(address, user="root", connect_kwargs={"key_filename": key})
link.client.load_host_keys(known)
link.open()
middle = time.monotonic()
link.run("true", hide=True)
print(middle - start, time.monotonic() - middle)
"""
TOGETHER = """
import logging, sys, time
from concurrent.futures import ThreadPoolExecutor
from fabric import Connection
key, known, program, *addresses = sys.argv[1:]
def connected(address):
    link = Connection(address, user="root", connect_kwargs={"key_filename": key})
    link.client.load_host_keys(known)
    link.open()
    return link
with ThreadPoolExecutor(len(addresses)) as pool:
    times = [time.monotonic()]
    links = list(pool.map(connected, addresses))
    times.append(time.monotonic())
    list(pool.map(lambda link: link.run(program, hide=True), links))
    times.append(time.monotonic())
    list(pool.map(connected, addresses))
    times.append(time.monotonic())
print(*(end - begin for begin, end in zip(times, times[1:])))
"""
BARE = "sudo -n /usr/bin/python3 -IS -c pass"
UNPACKED = """
import sys, tempfile, time, zipfile
with tempfile.TemporaryDirectory() as place:
    start = time.monotonic()
    for wheel in sys.argv[1:]:
        zipfile.ZipFile(wheel).extractall(place)
    print(time.monotonic() - start)
    import compileall
    start = time.monotonic()
    compileall.compile_dir(place, quiet=2)
    print(time.monotonic() - start)
"""


def steps(log):
    """{what: seconds, the median over the hosts} of the steps in what a deploy has printed."""
    found = collections.defaultdict(list)
    for what, seconds in STEP.findall(log):
        found[re.sub(r"\d[\d.]*", "N", what)].append(float(seconds))
    return {what: statistics.median(each) for what, each in found.items()}


def timed(work):
    """The quickest of some times, in seconds."""
    took = []
    for _ in range(TIMES):
        start = time.monotonic()
        work()
        took.append(time.monotonic() - start)
    return min(took)


def floor(fleet, wheels, fab, cwd, env):
    """{what: seconds} on the first host, each the quickest of three. wheels: what is installed in a first deploy, pip's own not among them."""
    host, ssh = fleet.hosts[0], ["ssh", "-F", fleet.ssh_config, "web1"]
    words = [sys.executable, "-c", CONNECTED, host.address, fleet.key, fleet.known_hosts, "-"]
    both = [tuple(map(float, fleet.run(words).stdout.split())) for _ in range(TIMES)]
    host.run(["mkdir", "-p", "/tmp/floor"])
    payload = b"".join(wheel.read_bytes() for wheel in wheels)
    bare = timed(lambda: fleet.run([*ssh, "true"]))
    sent = timed(lambda: fleet.run(["sh", "-c", f"head -c {len(payload)} /dev/zero | ssh -F {fleet.ssh_config} web1 'cat > /dev/null'"]))
    for wheel in wheels:
        fleet.run(["scp", "-q", "-F", fleet.ssh_config, wheel, f"web1:/tmp/floor/{wheel.name}"])
    names = [f"/tmp/floor/{wheel.name}" for wheel in wheels]
    unpacked = [tuple(map(float, host.run(["/usr/bin/python3", "-I", "-c", UNPACKED, *names]).stdout.split())) for _ in range(TIMES)]
    return {"a connection (TCP, keys, authentication)": min(each[0] for each in both), "a command over it": min(each[1] for each in both),
            f"the link: {len(payload) / 1e6:.1f} MB of wheels": max(0.0, sent - bare), "unpacking them": min(each[0] for each in unpacked),
            "compiling them": min(each[1] for each in unpacked),
            "the start of fab": timed(lambda: fleet.run([fab, "--list"], cwd=cwd, env=env)),
            "the start of the engine": timed(lambda: host.run(["/usr/bin/python3", "-IS", "/usr/local/sbin/weft-host"], input="{}\n", check=False))}


def together(fleet):
    """{what: seconds} for all hosts of a fleet at once, each the quickest of three: what a no-op and a rollback cost by any tool that logs in by SSH,
    starts one Python there, and makes sure after a switch that the host still lets it in."""
    words = [sys.executable, "-c", TOGETHER, fleet.key, fleet.known_hosts, BARE, *(host.address for host in fleet.hosts)]
    logins, started, again = (min(each) for each in zip(*(tuple(map(float, fleet.run(words).stdout.split())) for _ in range(TIMES))))
    return {"a login": logins, "and sudo with a Python that does nothing": logins + started, "and another login": logins + started + again}


def shown(floors, told, fleets):
    """All as lines of Markdown. floors: {rtt: floor}. told: {(hosts, rtt): {cell: steps}}. fleets: {(hosts, rtt): floor of all hosts at once}."""
    lines = ["", "What nobody gets below, on one host, in seconds (the quickest of three):", ""]
    names = list(next(iter(floors.values()), {}))
    lines += ["| | " + " | ".join(f"{rtt} ms" for rtt in floors) + " |", "|---" * (len(floors) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{each[name]:.3f}" for each in floors.values()) + " |" for name in names]
    lines += ["", "Nor this, on all hosts of a fleet at once and without the start of fab (the quickest of three):", ""]
    names = list(next(iter(fleets.values()), {}))
    lines += ["| | " + " | ".join(f"{count} hosts, {rtt} ms" for count, rtt in fleets) + " |", "|---" * (len(fleets) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{each[name]:.2f}" for each in fleets.values()) + " |" for name in names]
    lines += ["", "Where weft's time on the hosts goes, by its engines' own words (weft at once; the median of the hosts, in seconds):", ""]
    for (count, rtt), cells in told.items():
        for cell, found in cells.items():
            if found:
                lines.append(f"- {count} hosts, {rtt} ms, {cell}: " + ", ".join(f"{what} {seconds:.1f}" for what, seconds in found.items()))
    return "\n".join(lines)
