"""Rollouts with hooks over real processes: when each runs, what its failure means, and that what was drained is undrained."""

import os
import signal
import sys
import threading
import time

import pytest

from weft.errors import FailedUndone, Interrupted, NeedsHands, Refused
from weft.rollout.show import Plain, Silent

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hurry")]
MOMENTS = ("before_stage", "before_switch", "after_switch", "after_deploy", "on_rollback")
BROKEN = {"error": "failed-undone", "message": "the application failed to start", "next": "mend the release"}


@pytest.fixture
def noted(yard, tmp_path):
    """All hooks note when they run; one whose name is a file below fail/ fails. Gives what was noted, and a way to make one fail."""
    return Noted(yard, tmp_path)


class Noted:
    def __init__(self, yard, place):
        self.yard, self.file = yard, place / "ran"
        self.program = yard.root / "note"
        self.file.touch()
        self.program.write_text(f"#!/bin/sh\necho $1 $2 $WEFT_RESULT | sed 's/ *$//' >> {self.file}\n"
                                f"if [ -e {place}/fail-$1-$2 ]; then echo the loom is stuck; exit 3; fi\n"
                                f"if [ -e {place}/hang-$1-$2 ]; then touch {place}/hangs; sleep 30; fi\n")
        self.program.chmod(0o755)
        self.place = place
        once = "".join(f'{name} = ["./note", "{name}", "all"]\n' for name in MOMENTS)
        each = "".join(f'{name} = ["./note", "{name}", "{{host}}"]\n' for name in MOMENTS)
        self.toml = f"[hooks]\n{once}[hooks.host]\n{each}"

    def fail(self, name, who):
        (self.place / f"fail-{name}-{who}").touch()

    def hang(self, name, who):
        (self.place / f"hang-{name}-{who}").touch()

    @property
    def lines(self):
        return self.file.read_text().splitlines()

    def of(self, who):
        return [line.replace(f" {who}", "") for line in self.lines if f" {who}" in line]


def raised(kind, rollout):
    with pytest.raises(kind) as caught:
        rollout.run()
    return caught.value


def verbs(yard, name):
    return [verb for verb, *_ in yard.log(name)]


def test_each_runs_at_its_place(quick, yard, noted):
    env = quick("web1,web2", noted.toml)
    env.rollout("deploy", "1.0").run()
    assert sorted(noted.lines[1:3]) == ["before_stage web1", "before_stage web2"]
    assert [*noted.lines[:1], *noted.lines[3:9]] == [
        "before_stage all", "before_switch all", "before_switch web1", "after_switch web1 switched", "before_switch web2", "after_switch web2 switched",
        "after_switch all switched"]
    assert sorted(noted.lines[9:11]) == ["after_deploy web1 switched", "after_deploy web2 switched"] and noted.lines[11:] == ["after_deploy all switched"]
    env.rollout("deploy", "1.0").run()
    assert len(noted.lines) == 12, "nothing to do, no hook"


@pytest.mark.parametrize("who", ["all", "web2"])
def test_before_stage_refuses(quick, yard, noted, who):
    noted.fail("before_stage", who)
    error = raised(Refused, quick("web1,web2", noted.toml).rollout("deploy", "1.0"))
    where = "before_stage" if who == "all" else "web2: before_stage"
    assert error.message.splitlines() == [f"{where}: ./note before_stage {who} failed (exit 3)", "    the loom is stuck"]
    assert error.effect.endswith("no release is served everywhere") and error.hint == "mend what the hook shows, then run the same command again"
    assert "activate" not in verbs(yard, "web1") and "stage" not in verbs(yard, "web2") and "before_switch" not in noted.file.read_text()


def test_the_deploys_before_switch_stops_it_with_nothing_switched(quick, yard, noted):
    noted.fail("before_switch", "all")
    error = raised(FailedUndone, quick("web1,web2", noted.toml).rollout("deploy", "1.0"))
    assert error.effect == "no host was switched; no release is served everywhere"
    assert "activate" not in verbs(yard, "web1") and "before_switch web1" not in noted.lines


def test_a_hosts_before_switch_leaves_it_unswitched_and_undrained(quick, yard, noted):
    noted.fail("before_switch", "web2")
    error = raised(FailedUndone, quick("web1,web2", noted.toml).rollout("deploy", "1.0"))
    assert "web2: before_switch: ./note before_switch web2 failed (exit 3)\n    the loom is stuck" in error.message
    assert "activate" not in verbs(yard, "web2") and not yard.serves("web1") and not yard.serves("web2")
    assert noted.of("web2")[1:] == ["before_switch", "after_switch failed"]
    assert noted.of("web1")[-1:] == ["on_rollback failed"] and noted.of("all")[-1] == "on_rollback failed"


def test_a_hosts_after_switch_takes_it_back(quick, yard, noted):
    yard.fresh("1.0")
    noted.fail("after_switch", "web1")
    toml = noted.toml.replace('after_switch = ["./note", "after_switch", "{host}"]', 'after_switch = [["./note", "after_switch", "{host}"], ["./note", "undrain", "{host}"]]')
    rollout = quick("web1,web2", toml).rollout("deploy", "1.1")
    assert "web1: after_switch: ./note after_switch web1 failed (exit 3)" in raised(FailedUndone, rollout).message
    assert [run.status for run in rollout.runs] == ["failed", "staged"] and yard.serves("web1") == "1.0"
    assert noted.of("web1")[1:] == ["before_switch", "after_switch switched", "undrain failed", "on_rollback failed"]


@pytest.mark.parametrize("order, result", [
    ({"verb": "activate", "error": BROKEN}, "failed"),
    ({"verb": "activate", "die": "after"}, "failed"),
    ({"verb": "confirm", "error": {"error": "needs-hands", "message": "neither nor"}}, "unknown"),
])
def test_a_drained_host_is_undrained_whatever_becomes_of_it(quick, yard, noted, order, result):
    yard.order("web1", order)
    raised(FailedUndone if result == "failed" else NeedsHands, quick("web1", noted.toml).rollout("deploy", "1.0"))
    assert noted.of("web1")[1:3] == ["before_switch", f"after_switch {result}"]
    assert ("on_rollback failed" in noted.of("web1")) == (result == "failed")


@pytest.mark.parametrize("policy, kind", [("rollback-all", FailedUndone), ("halt", NeedsHands)])
def test_the_deploys_after_switch_is_a_spent_budget(quick, yard, noted, policy, kind):
    noted.fail("after_switch", "all")
    error = raised(kind, quick("web1", f'on_failure = "{policy}"\n{noted.toml}').rollout("deploy", "1.0"))
    assert "after_switch: ./note after_switch all failed (exit 3)\n    the loom is stuck" in error.message
    assert yard.serves("web1") == ("1.0" if policy == "halt" else "") and "after_deploy all" not in noted.lines
    assert error.hint == ("to go back: fab rollback --limit web1" if policy == "halt" else "mend what the hook shows, then run the same command again")


def test_what_can_be_undone_no_more_is_a_warning(quick, yard, noted):
    noted.fail("after_deploy", "all")
    noted.fail("after_deploy", "web1")
    said = quick("web1", noted.toml).rollout("deploy", "1.0").run()
    assert [text.splitlines() for text in said["warnings"]] == [
        ["web1: after_deploy: ./note after_deploy web1 failed (exit 3)", "    the loom is stuck"],
        ["after_deploy: ./note after_deploy all failed (exit 3)", "    the loom is stuck"]]
    noted.fail("on_rollback", "web1")
    yard.order("web1", {"verb": "activate", "error": BROKEN})
    error = raised(FailedUndone, quick("web1", noted.toml).rollout("deploy", "1.1"))
    assert error.message.splitlines() == ["web1: the application failed to start", "besides: web1: on_rollback: ./note on_rollback web1 failed (exit 3)",
                                          "    the loom is stuck"]


def test_one_that_is_late_is_ended_and_its_output_is_shown(quick, yard, tmp_path):
    toml = '[hooks]\ntimeout = 1\nbefore_stage = ["sh", "-c", "echo almost; sleep 60 & wait"]\n'
    with open(tmp_path / "log", "w") as log:
        rollout = quick("web1", toml).rollout("deploy", "1.0", progress=Plain(log))
        error = raised(Refused, rollout)
    assert error.message == "before_stage: sh -c 'echo almost; sleep 60 & wait' was not done after 1 s and was ended\n    almost"
    assert "\n  almost\n" in (tmp_path / "log").read_text()


def test_programs_that_are_not_there_refuse_all_with_file_and_line(quick, yard):
    error = raised(Refused, quick("web1", '[hooks.host]\nbefore_switch = ["./drain"]\n').rollout("deploy", "1.0"))
    assert error.message.endswith(f"hooks.host.before_switch: {yard.root}/drain is not there") and "production.toml:" in error.message
    assert verbs(yard, "web1") == ["observe"]


class Pressing(Silent):
    """Presses Ctrl-C once a hook hangs, and again."""

    def __init__(self, noted, times):
        self.noted, self.times = noted, times
        threading.Thread(target=self.press, daemon=True).start()

    def press(self):
        while not (self.noted.place / "hangs").exists():
            time.sleep(0.02)
        for n in range(self.times):
            time.sleep(0.5 * bool(n))
            os.kill(os.getpid(), signal.SIGINT)


def test_after_one_ctrl_c_what_is_in_flight_ends_and_is_undrained(quick, yard, noted):
    noted.hang("before_switch", "web1")
    noted.program.write_text(noted.program.read_text().replace("sleep 30", "sleep 1"))
    raised(Interrupted, quick("web1,web2", noted.toml).rollout("deploy", "1.0", progress=Pressing(noted, 1)))
    assert noted.of("web1")[1:] == ["before_switch", "after_switch switched"] and noted.of("web2") == ["before_stage"]
    assert yard.serves("web1") == "1.0"


@pytest.mark.parametrize("name", ["before_switch", "after_switch"])
def test_a_second_ctrl_c_leaves_at_once_but_undrains_first(quick, yard, noted, name):
    noted.hang(name, "web1")
    noted.program.write_text(noted.program.read_text().replace("sleep 30", "sleep 30" if name == "before_switch" else "sleep 2; echo undrained web1 >> " + str(noted.file)))
    error = raised(Interrupted, quick("web1,web2", noted.toml).rollout("deploy", "1.0", progress=Pressing(noted, 2)))
    assert "after_switch did not run" not in error.effect
    assert noted.of("web1")[1:3] == ["before_switch", "after_switch " + ("failed" if name == "before_switch" else "switched")]
    assert name == "before_switch" or "undrained web1" in noted.lines
    assert ("activate" in verbs(yard, "web1")) == (name == "after_switch")


def test_a_third_ctrl_c_names_who_is_left_drained(quick, yard, noted):
    noted.hang("before_switch", "web1")
    noted.hang("after_switch", "web1")
    error = raised(Interrupted, quick("web1", noted.toml).rollout("deploy", "1.0", progress=Pressing(noted, 3)))
    assert error.effect.endswith("; after_switch did not run to its end for web1")
