"""A load that tells whether a change of release loses a request: `python -m weft.testing.load http://web1/ --seconds 30`.

Half of the clients keep their connection, half open one a request; some POST, some ask for slow answers that last over a switch.
Everything but a whole 2xx answer is failed. A load ends by itself, and goes to test addresses only unless told otherwise:
it must not be aimed at production by mistake. The exit code is 0 when nothing was lost or mixed, 1 when something was, 2 for
wrong words.
"""

import argparse
import ipaddress
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from weft.testing.load_client import PAUSE_SECONDS, TIMEOUT_SECONDS, Client, Request, Target
from weft.testing.load_report import KEPT, Report, changes, latencies

TEST_NETWORKS = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128", "10.98.0.0/24")))
PROGRESS_SECONDS = 0.25
#: One request in so many is a POST, when POSTs are asked for.
POST_SHARE = 5
EXAMPLE = """\
example:
  python -m weft.testing.load http://10.98.0.11/version --seconds 30 --slow /slow:2 --post /echo:4096 --version-json version
"""


def resolve(url: str, allow_any_address: bool = False) -> tuple[str, int, str, str]:
    """The address, port, host header and path of `url`. Raises ValueError when it is not one to put a load on."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url}: expected http://host[:port]/path")
    port = parts.port or 80
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ValueError(f"{url}: {parts.hostname} has no address: {error.strerror}") from None
    address = found[0][4][0]
    if not allow_any_address and not any(ipaddress.ip_address(address) in network for network in TEST_NETWORKS):
        raise ValueError(f"{url}: {address} is not a test address ({', '.join(map(str, TEST_NETWORKS))}); --allow-any-address if you mean it")
    return address, port, parts.netloc.rpartition("@")[2], (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class Load:
    """A load on one URL, in threads of this process. Raises ValueError for a URL or an amount that makes no sense.

    `rate` is requests a second of all clients together (None: as fast as answers come), `slow` and `post` are pairs of path and
    number: so many clients more that ask for that path only, and the bytes of a POST's body.
    """

    def __init__(self, url: str, *, clients: int = 8, seconds: float = 60.0, rate: float | None = None, host_header: str | None = None,
                 slow: Sequence[tuple[str, int]] = (), post: tuple[str, int] | None = None, version_json: str | None = None,
                 version_header: str | None = None, timeout: float = TIMEOUT_SECONDS, progress: str | Path | None = None,
                 allow_any_address: bool = False):
        if clients < 1 or seconds <= 0 or (rate is not None and rate <= 0):
            raise ValueError(f"clients, seconds and rate must be positive: {clients}, {seconds}, {rate}")
        address, port, host, path = resolve(url, allow_any_address)
        target = Target(address, port, host_header or host, version_json, version_header, timeout)
        self.url, self.seconds, self.timeout = url, seconds, timeout
        self._progress = Path(progress) if progress else None
        self._stopping, self._asked_to_stop = threading.Event(), False
        self._clients: list[Client] = []
        self._threads: list[threading.Thread] = []
        get = Request(path)
        mix = [get] * (POST_SHARE - 1) + [Request(post[0], b"x" * post[1])] if post else [get]
        pace = 1 / rate if rate else 0.0
        for number in range(clients):
            turned = mix[number % len(mix):] + mix[:number % len(mix)]
            self._add(Client(target, keep_alive=number % 2 == 0), turned, first=number * pace, interval=clients * pace)
        for slow_path, count in slow:
            for number in range(count):
                self._add(Client(target, keep_alive=number % 2 == 0), [Request(slow_path, slow=True)])

    def _add(self, client: Client, requests: Sequence[Request], first: float = 0.0, interval: float = 0.0) -> None:
        self._clients.append(client)
        self._threads.append(threading.Thread(target=self._work, args=(client, requests, first, interval), daemon=True))

    def start(self) -> "Load":
        """Begin; returns at once."""
        self._began, self._epoch = time.perf_counter(), time.time() - time.perf_counter()
        self._deadline = self._began + self.seconds
        if self._progress:
            self._threads.append(threading.Thread(target=self._write_progress, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def wait(self) -> None:
        """Return when the time is up or `stop_soon` was called, not waiting for requests in flight."""
        while not self._asked_to_stop and time.perf_counter() < self._deadline:
            time.sleep(0.02)

    def stop_soon(self) -> None:
        """Let `wait` return; safe in a signal handler, where setting an Event may deadlock."""
        self._asked_to_stop = True

    def stop(self) -> Report:
        """Send no new requests, let those in flight finish within `timeout` seconds, and report."""
        self._stopping.set()
        self._ended = time.perf_counter()
        self._join(self.timeout)
        for client in self._clients:
            client.give_up()
        self._join(5.0)
        return self._report()

    def snapshot(self) -> dict:
        """The counts up to now: sent, ok, failed, reconnects, mixed, versions, seconds, and the requests in flight."""
        total = {name: sum(getattr(client, name) for client in self._clients) for name in ("ok", "failed", "sent", "reconnects", "mixed")}
        versions = sum((Counter(dict(client.versions)) for client in self._clients), Counter())
        return {**total, "in_flight": max(0, total["sent"] - total["ok"] - total["failed"]), "versions": dict(versions),
                "seconds": round(time.perf_counter() - self._began, 3)}

    def _work(self, client: Client, requests: Sequence[Request], first: float, interval: float) -> None:
        """Ask in turn until told to stop or the time is up: after `first` seconds, then every `interval` seconds, or when the answer is there."""
        due, number = self._began + first, 0
        self._stopping.wait(min(due, self._deadline) - time.perf_counter())
        while not self._stopping.is_set() and time.perf_counter() < self._deadline:
            if not client.ask(requests[number % len(requests)]):
                self._stopping.wait(PAUSE_SECONDS)
            number += 1
            due = max(due + interval, time.perf_counter())
            if interval:
                self._stopping.wait(min(due, self._deadline) - time.perf_counter())
        client.close()

    def _join(self, seconds: float) -> None:
        deadline = time.perf_counter() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.perf_counter()))

    def _write_progress(self) -> None:
        """Replace the progress file a few times a second, and once more when everything has ended."""
        while any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread()):
            self._replace_progress()
            time.sleep(PROGRESS_SECONDS)
        self._replace_progress()

    def _replace_progress(self) -> None:
        fresh = self._progress.with_name(f".{self._progress.name}.{os.getpid()}")
        fresh.write_text(json.dumps(self.snapshot()) + "\n")
        fresh.replace(self._progress)

    def _report(self) -> Report:
        counts = self.snapshot()
        answers = [answer for client in self._clients for answer in client.answers]
        seconds = min(self._ended, self._deadline) - self._began
        kept = {name: sorted((bad for client in self._clients for bad in getattr(client, name)), key=lambda bad: bad.at)[:KEPT]
                for name in ("failures", "mixed_answers")}
        return Report(url=self.url, seconds=round(seconds, 3), per_second=round(counts["ok"] / seconds, 1),
                      sent=counts["sent"], ok=counts["ok"], failed=counts["failed"] + counts["in_flight"],
                      reconnects=counts["reconnects"], mixed=counts["mixed"], versions=counts["versions"],
                      changes=changes(answers, self._epoch), **latencies(answers), **kept)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a load as the words say, print its report; returns the exit code."""
    parser = _parser()
    options = vars(parser.parse_args(argv))
    as_json = options.pop("json")
    try:
        load = Load(options.pop("url"), **options)
    except ValueError as error:
        parser.error(str(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: load.stop_soon())
    load.start()
    load.wait()
    report = load.stop()
    print(report.to_json() if as_json else report.to_text(), flush=True)
    return 0 if report.clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m weft.testing.load", description="Put a load on a URL and count every request that is lost.",
                                     epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL", help="http:// only; what most requests GET")
    parser.add_argument("--host-header", metavar="H", help="the Host header (that of the URL)")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="half keep their connection, half do not (8)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="how long, at most (60); SIGTERM or Ctrl-C ends it earlier")
    parser.add_argument("--rate", type=float, metavar="R", help="requests a second, of all clients (as fast as answers come)")
    parser.add_argument("--slow", type=_pair, action="append", default=[], metavar="PATH:COUNT",
                        help="so many more clients that ask for the slow PATH; repeatable")
    parser.add_argument("--post", type=_pair, metavar="PATH:BYTES", help=f"make one request in {POST_SHARE} a POST of so many bytes")
    parser.add_argument("--version-json", metavar="KEY",
                        help="the key of a JSON answer that names its version; lazy_KEY, when there, must agree")
    parser.add_argument("--version-header", metavar="NAME", help="the response header that names the version")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, metavar="N",
                        help="seconds without a byte after which a request failed (60)")
    parser.add_argument("--progress", metavar="FILE", help="keep the counts up to now in FILE, a few times a second")
    parser.add_argument("--allow-any-address", action="store_true", help="go to an address outside the test networks")
    parser.add_argument("--json", action="store_true", help="report as one JSON object")
    return parser


def _pair(text: str) -> tuple[str, int]:
    path, _, number = text.rpartition(":")
    if not path.startswith("/") or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a path, a colon and a number, such as /slow:2")
    return path, int(number)


if __name__ == "__main__":
    sys.exit(main())
