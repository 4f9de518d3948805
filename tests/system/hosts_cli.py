"""The command line of `python -m tests.system.hosts`: a fleet to try things on by hand."""

import argparse
import os
import signal
import threading
from collections.abc import Sequence

from tests.system.hosts import Fleet, FleetError, missing
from tests.system.hosts_sweep import sweep

EXAMPLE = """\
example:
  mkdir -p /srv/artifacts
  python -m tests.system.hosts up 2 --shared /srv/artifacts:/srv/artifacts
  (then, in another terminal, paste one of the commands that it prints; Ctrl-C here ends everything)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words say; returns the exit code."""
    options = _parser().parse_args(argv)
    if options.verb == "sweep":
        swept = sweep()
        print(f"removed what was left of {len(swept)} fleet(s) {' '.join(swept)}".rstrip())
        return 0
    lacks = missing()
    if lacks:
        print("this machine lacks " + "; ".join(lacks))
        return 3
    try:
        return _up(options)
    except (FleetError, OSError) as error:
        print(f"no fleet: {error}")
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.system.hosts", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Several real hosts on one machine, without a container engine; needs root.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start hosts and stay until Ctrl-C", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    up.add_argument("count", type=_count, nargs="?", default=2, help="how many hosts, 1 to 200 (2)")
    up.add_argument("--shared", metavar="SRC:DST", action="append", type=_pair, default=[],
                    help="show the machine's directory SRC on each host at DST, read-only")
    up.add_argument("--disk-mb", type=int, default=4096, metavar="N", help="room for what a host writes, in MiB (4096)")
    up.add_argument("--shell", action="store_true", help="open a shell in the operator's network; leaving it ends the fleet")
    verbs.add_parser("sweep", help="remove what killed fleets left")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 to 200")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    source, _, target = text.partition(":")
    if not os.path.isdir(source) or not target.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected SRC:DST, an existing directory here and an absolute path there")
    return target, source


def _up(options: argparse.Namespace) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Fleet(options.count, shared=dict(options.shared), disk_mb=options.disk_mb) as fleet:
        print(summary(fleet), flush=True)
        try:
            if options.shell:
                signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for what runs in the shell; it is not inherited, as "ignore" would be
                fleet.attach([os.environ.get("SHELL", "/bin/sh")])
            else:
                stop.wait()
        except KeyboardInterrupt:
            pass
        print("\nending the fleet", flush=True)
    return 0


def summary(fleet: Fleet) -> str:
    """What a person needs to use `fleet`, as text."""
    enter = fleet.enter_command([])
    first = fleet.hosts[0].name
    return "\n".join([
        f"fleet {fleet.id}: " + ", ".join(f"{host.name} {host.address}" for host in fleet.hosts),
        "",
        f"  key          {fleet.key}",
        f"  known hosts  {fleet.known_hosts}",
        f"  a host       {enter} ssh -F {fleet.ssh_config} {first}",
        f"  the network  {enter} {os.environ.get('SHELL', '/bin/sh')}     (from there the hosts can be reached)",
        "  the end      Ctrl-C here",
    ])
