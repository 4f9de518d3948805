"""What a load has seen: counts, latencies, and how the answers went from one version to the next.

Pure: takes the recorded answers, returns values. Latencies are milliseconds; times are seconds since the epoch.
"""

import json
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

#: Answers of a version that are further apart than this, with another version between them, are two periods of that version.
#: So a version that comes back within the time is one period, and shows as an overlap instead.
SETTLE_SECONDS = 1.0
#: The latency around a change is the worst of the answers that ended this close to it.
AROUND_SECONDS = 1.0
KEPT = 50
NO_VERSION = "(none)"


@dataclass(frozen=True)
class Failure:
    """One request that did not get what it should have; `at` is when it ended."""

    at: float
    kind: str
    method: str
    path: str
    status: int | None = None
    detail: str = ""
    body: str = ""


@dataclass(frozen=True)
class Change:
    """One change of the version that answers.

    `first_new` is when the new version's first answer came, `last_old` when the last answer of the old one came that was *asked
    for* after that (None when there was none), `overlap_ms` the time between the two. An old answer asked for earlier is
    a request in flight, and no overlap.
    """

    old: str
    new: str
    first_new: float
    last_old: float | None
    overlap_ms: float
    worst_ms: float


@dataclass(frozen=True)
class Report:
    """What one load has seen. Slow requests count everywhere but in the latencies, which they would hide."""

    url: str
    seconds: float
    sent: int
    ok: int
    failed: int
    reconnects: int
    mixed: int
    per_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    slow: int
    slow_worst_ms: float
    versions: Mapping[str, int]
    changes: Sequence[Change]
    failures: Sequence[Failure] = field(default=())
    mixed_answers: Sequence[Failure] = field(default=())

    @property
    def clean(self) -> bool:
        """Whether requests were sent and every one got a whole answer of one release."""
        return self.sent > 0 and self.failed == 0 and self.mixed == 0

    def to_json(self) -> str:
        """The report as one JSON object on one line."""
        return json.dumps({"clean": self.clean, **asdict(self)})

    def to_text(self) -> str:
        """The report as a small table for a person."""
        rows = [("sent", self.sent), ("ok", self.ok), ("failed", self.failed), ("mixed", self.mixed), ("reconnects", self.reconnects),
                ("requests/s", f"{self.per_second:.0f}"), ("p50 / p99 / worst", f"{self.p50_ms:.1f} / {self.p99_ms:.1f} / {self.worst_ms:.1f} ms")]
        if self.slow:
            rows.append(("slow requests", f"{self.slow}, worst {self.slow_worst_ms / 1000:.1f} s"))
        rows += [(f"version {version}", f"{count} answers") for version, count in self.versions.items()]
        lines = [f"{name:<20}{value}" for name, value in rows]
        lines += [f"{change.old} -> {change.new}: overlap {change.overlap_ms:.0f} ms, worst latency around it {change.worst_ms:.1f} ms"
                  for change in self.changes]
        lines += [f"{bad.kind}: {bad.method} {bad.path} {bad.status or ''} {bad.detail} {bad.body[:80]!r}"
                  for bad in (*self.failures, *self.mixed_answers)]
        return "\n".join([f"{self.seconds:.1f} s of load on {self.url}", *lines])


class Answers:
    """The good answers of one client, in the order they came: 18 bytes each, so that hours of load fit in memory."""

    def __init__(self) -> None:
        self.started, self.ended, self.version, self.slow = array("d"), array("d"), array("H"), array("B")
        self.names: list[str] = []

    def add(self, started: float, ended: float, version: str, slow: bool) -> None:
        """Record one answer; the two times are of one clock."""
        if version not in self.names:
            self.names.append(version)
        self.started.append(started)
        self.ended.append(ended)
        self.version.append(self.names.index(version))
        self.slow.append(slow)

    def __iter__(self):
        """Tuples of started, ended, version, slow."""
        for started, ended, number, slow in zip(self.started, self.ended, self.version, self.slow):
            yield started, ended, self.names[number], bool(slow)


def latencies(answers: Sequence[tuple]) -> dict[str, float]:
    """p50_ms, p99_ms and worst_ms of the answers that are not slow by design, and slow and slow_worst_ms of those that are."""
    fast = sorted(ended - started for started, ended, _, slow in answers if not slow)
    slow = [ended - started for started, ended, _, slow in answers if slow]
    return {"p50_ms": _percentile(fast, 0.50), "p99_ms": _percentile(fast, 0.99), "worst_ms": _percentile(fast, 1),
            "slow": len(slow), "slow_worst_ms": max(slow, default=0.0) * 1000}


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the ordered values do not exceed, in ms; 0 for none."""
    return ordered[math.ceil(share * len(ordered)) - 1] * 1000 if ordered else 0.0


def changes(answers: Sequence[tuple], epoch: float = 0.0) -> list[Change]:
    """The changes of version among the answers, in order; `epoch` is what to add to their clock to get the time of day."""
    asked = {}
    for started, ended, version, _ in answers:
        asked.setdefault(version, []).append((started, ended))
    periods = sorted((min(end for _, end in period), version, period) for version in asked for period in _periods(version, asked))
    ends = sorted((ended, ended - started) for started, ended, _, slow in answers if not slow)
    found = []
    for (_, old, before), (first, new, _) in zip(periods, periods[1:]):
        late = max((end for start, end in before if start > first), default=None)
        around = ends[bisect_left(ends, (first - AROUND_SECONDS,)):bisect_right(ends, (first + AROUND_SECONDS, float("inf")))]
        found.append(Change(old, new, first + epoch, None if late is None else late + epoch, 0.0 if late is None else (late - first) * 1000,
                            max((latency for _, latency in around), default=0.0) * 1000))
    return found


def _periods(version: str, asked: Mapping[str, list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """The (start, end) pairs of `version`, cut where it paused while another version was asked and answered."""
    others = sorted(start for other, pairs in asked.items() if other != version for start, _ in pairs)
    periods: list[list[tuple[float, float]]] = []
    for start, end in sorted(asked[version]):
        if periods:
            before = periods[-1][-1][0]
            other_between = bisect_left(others, start) > bisect_right(others, before)
        if not periods or (start - before > SETTLE_SECONDS and other_between):
            periods.append([])
        periods[-1].append((start, end))
    return periods
