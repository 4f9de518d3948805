"""A small model of the engine: what an order does to a host, in the words of the documentation. It shares no code with the engine.

A host is its generations, which of them is live, and a trial. An order is a tuple, its verb first; `apply` changes the host as the order
does and says with which code it ends. An engine that is killed leaves one of `cut_short`, once a recovery has seen to it.
"""

from dataclasses import dataclass, field, replace

#: Exit codes that are documented, but for 1, which is a bug.
CODES = {0, 2, 3, 4, 5, 6, 130, 143}
#: Good releases that stay installed, at the least.
KEEP = 5
TRIAL = 600
#: Seconds without an order under the fleet's lock after which what is held for it goes back.
STALE = 60
ORDERS = ("stage", "activate", "rollback", "confirm", "hold", "revert")


@dataclass(frozen=True)
class Generation:
    """status: staged, pending, good or bad. settings: what users see of them. previous: the generation that served when it was made."""

    version: str
    settings: str = ""
    status: str = "staged"
    previous: int = 0


@dataclass(frozen=True)
class Trial:
    """was: the status that its generation had before. deadline on the host's clock, which is the one of a boot. held: it goes by the fleet's lock instead."""

    generation: int
    previous: int
    was: str
    deadline: float
    boot: str
    held: bool = False


@dataclass(frozen=True)
class Confirmed:
    """The last confirmation; what a revert of it goes by."""

    generation: int = -1
    previous: int = 0
    was: str = ""


@dataclass
class Host:
    """installed, cached: versions; the latter can be installed again without an operator. edited: generation -> what its settings were made
    by hand. by_hand: all that they ever were, which a process may still hold. kept_edit: what a drop-in says, over every release. colours: the settings that releases come with.
    beat: when the fleet's lock was last heard of."""

    colours: dict = field(repr=False)
    generations: dict = field(default_factory=lambda: {0: Generation("", status="good")})
    live: int = 0
    trial: Trial = None
    last: Confirmed = Confirmed()
    installed: set = field(default_factory=set)
    cached: dict = field(default_factory=dict)
    pins: set = field(default_factory=set)
    edited: dict = field(default_factory=dict)
    kept_edit: str = ""
    by_hand: dict = field(default_factory=dict)
    clock: float = 0.0
    beat: float = 0.0
    boot: str = "first"

    def copy(self):
        return replace(self, generations=dict(self.generations), installed=set(self.installed), cached=dict(self.cached), pins=set(self.pins), edited=dict(self.edited),
                       by_hand=dict(self.by_hand))

    def apply(self, order):
        """The exit code; the host is changed."""
        verb, *words = order
        if verb == "status":
            return 0
        self.settle()
        self.beat = self.clock if verb in ORDERS else self.beat
        return getattr(self, verb.replace("-", "_"))(*words)

    # -- what users, operators and the disk are to see ---------------------------------------------------------------------------

    @property
    def version(self):
        return self.generations[self.live].version

    def seen(self):
        """What a host is compared by."""
        return {"live": self.live, "trial": (self.trial.generation, self.trial.held) if self.trial else None,
                "generations": {n: (g.version, g.status) for n, g in self.generations.items()}}

    def good(self, version=None):
        """Numbers of good generations, newest first; the placeholder is none."""
        return [n for n in sorted(self.generations, reverse=True)
                if n and self.generations[n].status == "good" and version in (None, self.generations[n].version)]

    def must_stay(self):
        """Generations that no pruning may take: what runs or is tried, what is pinned, the way back, and one of each of the newest good releases."""
        stay = {0, self.live, self.generations[self.live].previous}
        stay |= {self.trial.generation, self.trial.previous} if self.trial else set()
        stay |= {n for n, g in self.generations.items() if g.version in self.pins}
        stay |= set([n for n in self.earlier() if n and self.generations[n].status == "good" and self.generations[n].version in self.installed][:1])
        newest = {}
        for number in self.good():
            newest.setdefault(self.generations[number].version, number)
        return (stay | set(list(newest.values())[:KEEP])) & set(self.generations)

    def earlier(self):
        """What served before the live generation, the last one first, as far as it is known."""
        seen, number = [self.live], self.generations[self.live].previous
        while number in self.generations and number not in seen:
            seen.append(number)
            number = self.generations[number].previous
        return seen[1:]

    # -- orders -------------------------------------------------------------------------------------------------------------------

    def observe(self, version=""):
        return 0

    def recover(self):
        return 0

    def verify(self):
        return 0

    def stage(self, version, base):
        if base != self.live or self.live in self.edited:
            return 3
        self.staged(version)
        return 0

    def staged(self, version):
        """Make a generation, or take the one that is just that already; its number."""
        settings = self.kept_edit or self.colours[version]
        self.installed.add(version)
        for number in sorted(self.generations, reverse=True):
            said = self.generations[number]
            if (said.version, said.settings, said.previous) == (version, settings, self.live) and said.status in ("staged", "good") and number != self.live:
                return number
        number = max(self.generations) + 1
        self.generations[number] = Generation(version, settings, "staged", self.live)
        return number

    def activate(self, number, base):
        if base != self.live or number not in self.generations or number in (0, self.live) or self.trial:
            return 3
        return self.begin(number)

    def begin(self, number):
        self.trial = Trial(number, self.live, self.generations[number].status, self.clock + TRIAL, self.boot)
        self.mark(number, "pending")
        self.live = number
        return 0

    def rollback(self, to, base):
        if base != self.live or self.trial:
            return 3
        number = self.back_to(to) if to else self.back()
        return 3 if number is None else self.begin(number)

    def back(self):
        """The good generation that served before; None where there is none that the host has or can install."""
        for number in self.earlier():
            said = self.generations[number]
            if number and said.status == "good":
                return number if self.there(said.version) else None
        return None

    def back_to(self, version):
        if self.version == version:
            return None
        mine = self.good(version)
        if mine:
            return mine[0] if self.there(version) else None
        if any(g.version == version and g.status == "bad" for g in self.generations.values()) or self.cached.get(version) != "good":
            return None
        return self.staged(version)

    def there(self, version):
        """Whether it is installed, or has been just now."""
        if version not in self.installed and version not in self.cached:
            return False
        self.installed.add(version)
        return True

    def confirm(self, number):
        if number not in self.generations or number != self.live:
            return 4
        if not number:  # the placeholder is never healthy
            return 6
        if self.trial:
            self.confirmed(number)
        return 0

    def hold(self, number):
        """As a confirmation, but for as long as the lock is alive."""
        if number == self.live and number and self.trial:
            self.trial = replace(self.trial, held=True)
            return 0
        return self.confirm(number)

    def confirmed(self, number):
        self.mark(number, "good")
        self.last, self.trial = Confirmed(number, self.trial.previous, self.trial.was), None

    def revert(self, number):
        if number != self.live:
            return 0
        if self.trial:
            self.go_back()
            return 0
        last = self.last if self.last.generation == number else Confirmed(number, self.generations[number].previous)
        if last.previous not in self.generations:
            return 5
        if last.previous == number:  # before the first there was nothing
            return 0
        self.begin(last.previous)
        self.confirmed(last.previous)
        self.mark(number, "good" if last.was == "good" else "bad")
        self.last = replace(self.last, previous=self.generations[last.previous].previous)
        return 0

    def keep_edit(self):
        self.kept_edit = self.edited.pop(self.live, self.kept_edit)
        return 0

    # -- what happens to it, or by itself ------------------------------------------------------------------------------------------------------

    def edit(self, colour):
        """Somebody writes into the settings that are shown."""
        self.edited[self.live] = colour
        self.by_hand[self.live] = self.by_hand.get(self.live, frozenset()) | {colour}

    def shown(self):
        """Settings that users may see; what was edited counts from a process's start."""
        return {self.generations[self.live].settings} | self.by_hand.get(self.live, frozenset())

    def settle(self):
        """Whatever comes next on a host sees first to a trial that is over."""
        if not self.trial:
            return
        ends = self.beat + STALE if self.trial.held else self.trial.deadline
        if self.trial.boot != self.boot or self.clock >= ends:
            self.go_back(unheard=self.trial.held and self.trial.boot == self.boot)

    def go_back(self, unheard=False):
        """unheard: nobody has said that the release was at fault."""
        self.mark(self.trial.generation, "good" if self.trial.was == "good" else "staged" if unheard else "bad")
        self.live, self.trial = self.trial.previous, None

    def mark(self, number, status):
        self.generations[number] = replace(self.generations[number], status=status)

    def cut_short(self, order):
        """What a host may be, recovered, after an engine that was killed at this order: as before, as after, or at one of the few halts between."""
        before, after = self.copy(), self.copy()
        before.settle()
        after.apply(order)
        found = [before, after]
        if order[0] == "revert" and not before.trial and after.live != before.live:  # the one before serves, and its confirmation is not written
            halt = before.copy()
            halt.begin(after.live)
            found.append(halt)
        if order[0] == "rollback" and set(after.generations) != set(before.generations):  # installed again, not switched to
            halt = before.copy()
            halt.staged(order[1])
            found.append(halt)
        if order[0] == "keep-edit" and after.kept_edit != before.kept_edit:  # the drop-in is there, the edit too
            halt = before.copy()
            halt.kept_edit = after.kept_edit
            found.append(halt)
        return found
