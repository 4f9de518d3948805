"""Two operators on one host, interleaved by a seed: order by order, or both engines at once with a pause where the seed says.

Whatever two engines do at once must be what they would do one after the other: the model is asked for both ways.
"""

import json
import random
import select

from tests.host import orders
from tests.host.orders import VERSIONS, on_disk, users
from weft.host import lock

LONG = 100_000
#: Seconds that an engine waits for the lock.
PATIENCE = (20.0, 20.0, 20.0, 0.01)
KINDS = ("deploy",) * 5 + ("rollback",) * 2 + ("rollback to", "revert", "confirm", "keep-edit", "status", "recover")


def wanted(kind, rng, model):
    """What an operator wants, as a generator of orders that is sent what came of each. The plan is made now, for the generation that is live now."""
    base, live = model.live, model.live
    if kind == "deploy":
        done = yield ("stage", rng.choice(VERSIONS[:4] if rng.random() < 0.95 else VERSIONS[4:]), base)
        if done["code"] == 0:
            number = done["last"]["result"]["generation"]
            yield from and_then(("activate", number, base), rng)
    elif kind == "rollback":
        yield from and_then(("rollback", "", base), rng)
    elif kind == "rollback to":
        yield from and_then(("rollback", rng.choice([model.generations[n].version for n in model.good()[:3]] or VERSIONS), base), rng)
    elif kind in ("revert", "confirm"):
        yield (kind, live)
    else:
        yield (kind,)


def and_then(switch, rng):
    end = rng.choice(["confirm", "confirm", "revert", "nothing"])
    done = yield switch
    if done["code"] == 0 and end != "nothing":
        yield (end, done["last"]["result"]["generation"])


class Duel:
    """Goes on from seed to seed on one host. A branch is a way in which it may have gone: (model, lines that the history then has).
    counts: how often what was met."""

    def __init__(self, host, operators, model):
        self.host, self.operators, self.model = host, operators, model
        self.counts = dict.fromkeys(("at once", "one won", "locked", "killed", "ended"), 0)
        self.said, self.read, self.cut = [], self.log.stat().st_size, False

    @property
    def log(self):
        return self.host.state / "history.jsonl"

    def run(self, seed):
        rng = random.Random(seed)
        self.said, self.cut = [], False
        if rng.random() < 0.1 and self.model.live and not self.model.edited:
            (self.host.prefix / "etc/shop.ini").write_text(f"[shop]\ncolour = by-hand-{seed}\n")
            self.model.edit(f"by-hand-{seed}")
        hands = {who: wanted(rng.choice(KINDS), rng, self.model.copy()) for who in self.operators}
        waiting = {who: next(hand, None) for who, hand in hands.items()}
        while any(waiting.values()):
            ready = [who for who, order in waiting.items() if order]
            who = ready if len(ready) == 2 and rng.random() < 0.6 else [rng.choice(ready)]
            for each, done in self.step({w: waiting[w] for w in who}, rng).items():
                try:
                    waiting[each] = hands[each].send(done)
                except StopIteration:
                    waiting[each] = None
        self.ends(rng, thorough=seed % 5 == 0)

    def step(self, given, rng):
        """What came of each order that was carried out."""
        self.said.append({who.by: order for who, order in given.items()})
        if len(given) == 1:
            (who, order), = given.items()
            done = {who: who.give(order, self.model)}
            self.answers(done)
            self.settled(given, self.then([(self.model, [])], who, order, done[who]))
            return done
        self.counts["at once"] += 1
        first, second = rng.sample(list(given), 2)
        trouble = rng.random()
        if trouble < 0.1 and self.model.trial:
            return self.hanging(first, second, given[first], rng)
        return self.at_once(first, second, given, "kill" if trouble < 0.2 else "pause", rng)

    def at_once(self, first, second, given, mode, rng):
        """The first one comes late at one of its calls, or is killed there; the second one while it opens, takes or signs the lock."""
        first.start(given[first], self.model, patience=rng.choice(PATIENCE), at=rng.randint(1, 60), mode=mode, pause=rng.choice([0.0, 0.01, 0.04]))
        second.start(given[second], self.model, patience=rng.choice(PATIENCE), at=rng.randint(1, 4), mode="pause", pause=rng.choice([0.0, 0.0, 0.02]))
        done = self.awaited(given)
        branches = [branch for a, b in ((first, second), (second, first))
                    for branch in self.then(self.then([(self.model, [])], a, given[a], done[a]), b, given[b], done[b])]
        if self.won(given):
            self.counts["one won"] += 1
            codes = sorted(each["code"] for each in done.values())
            assert codes == [0, 3] or mode == "kill", f"of two with one base, these: {done}"
        if done[first]["code"] == -9:
            self.counts["killed"] += 1
            self.cut = True
            assert second.give(("recover",), self.model)["code"] == 0
        self.settled(given, branches)
        return done

    def won(self, given):
        """Whether both want to switch, and each of them could if it were alone."""
        return all(order[0] in ("activate", "rollback") and self.model.copy().apply(order) == 0 for order in given.values())

    def awaited(self, given):
        """Both are done; until then users are asked."""
        possible = [self.model]
        for line in (list(given.values()), list(given.values())[::-1]):
            possible += [halt for order in line for halt in self.model.cut_short(order)] + [self.after(line)]
        left = {who.zygote.process.stdout: who for who in given}
        done = {}
        while left:
            users(self.host, *possible)
            for each in select.select(list(left), [], [], 0.02)[0]:
                who = left.pop(each)
                done[who] = who.finish()
        self.answers(done)
        return done

    def answers(self, done):
        """For the message of a failure."""
        self.said.append({who.by: (each["code"], each["last"].get("error", {}).get("message", "")) for who, each in done.items()})

    def after(self, line):
        model = self.model.copy()
        for order in line:
            model.apply(order)
        return model

    def hanging(self, first, second, order, rng):
        """One engine stops for good while it holds the lock, past the end of a trial: the other one's ends it and goes back."""
        first.start(order, self.model, at=rng.randint(5, 9), mode="pause", pause=60)
        while lock.idle(self.host.state / "lock") and not select.select([first.zygote.process.stdout], [], [], 0.002)[0]:
            pass
        now, self.model.clock = self.model.clock, self.model.clock + LONG
        assert second.give(("recover",), self.model, patience=20.0)["code"] == 0
        done = first.finish()
        if done["code"] == -9:
            self.counts["ended"] += 1
            self.cut = True
        self.model.clock = now
        branches = self.then([(self.model, [])], first, order, done)
        for model, _told in branches:
            model.clock += LONG
        self.settled({first: order}, branches)
        return {first: done}

    # -- what may have come of it ---------------------------------------------------------------------------------------------------------

    def then(self, branches, who, order, done):
        """Each branch after that answer to that order; those that it does not fit end."""
        if done["code"] == -9:
            return [(halt, told) for model, told in branches for halt in model.cut_short(order)]
        error = done["last"].get("error", {})
        if error.get("message", "").startswith("locked by "):
            self.counts["locked"] += 1
            named = error["message"].split()[2]
            assert named in {other.by for other in self.operators if other is not who} | {"somebody"}, error
            return branches
        found = []
        for before, told in branches:
            model = before.copy()
            if model.apply(order) == done["code"]:
                found.append((model, told + self.line(before, model, who, order, done["code"])))
        return found

    def line(self, before, model, who, order, code):
        """What the history says of it."""
        verb = order[0]
        changed = code == 0 and before.seen() != model.seen() and (verb != "confirm" or before.trial)
        return [(verb, who.by, model.live if verb == "rollback" else order[1])] if changed and verb in ("activate", "rollback", "confirm", "revert") else []

    def settled(self, given, branches):
        """The branch that the host is on."""
        disk, pruning = on_disk(self.host), any(order[0] == "confirm" for order in given.values())
        history, self.read = self.history(), self.log.stat().st_size
        for model, told in branches:
            model.settle()
            gone = set(model.generations) - set(disk["generations"])
            if pruning and not gone & model.must_stay():
                orders.forget(model, gone)
            if orders.alike(self.host, model, disk) and (self.cut or sorted(told) == history):
                self.model = model
                orders.follow(self.host, model)
                return users(self.host, model)
        raise AssertionError(f"on the disk {disk}, in the history {history}, none of {branches}")

    def history(self):
        """Its new lines."""
        lines = [json.loads(line) for line in self.log.read_bytes()[self.read:].splitlines()]
        return sorted((each["event"], each["by"], each["generation"]) for each in lines)

    def ends(self, rng, thorough):
        """Somebody sees to the host, some trials are over by then."""
        how = rng.choice(["later", "another boot", "at once"]) if self.model.trial else ""
        if how == "later":
            self.model.clock += LONG
        if how == "another boot":
            self.model.boot += "+"
            self.host.get("/-/restart")
        who = rng.choice(self.operators)
        assert who.give(("recover",), self.model)["code"] == 0
        self.model.settle()
        orders.same(self.host, self.model, thorough=thorough)
