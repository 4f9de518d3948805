"""Progress for a terminal and for a log."""

import io

from weft.plan import Step
from weft.tasks.live import Live


class Terminal(io.StringIO):
    def isatty(self):
        return True


def stream(kind):
    ticks = iter([0.0, 1.25, 1.25, 1.25])
    out = kind()
    return out, Live(out, lambda: next(ticks, 1.25))


def test_a_log_gets_one_line_a_step():
    out, live = stream(io.StringIO)
    live.begin(3, 12, Step("build", "sdist and wheel"))
    live.log("copying")
    live.end(True)
    assert out.getvalue() == " 3/12 build    done 1.2 s\n"


def test_the_projects_own_commands_are_shown_as_they_come_with_step_and_time():
    for kind in ("test", "hook"):
        out, live = stream(io.StringIO)
        live.begin(3, 12, Step(kind, "make assets"))
        live.log("weaving")
        live.log("  done")
        live.end(False, ["weaving", "  done"])
        head = f" 3/12 {kind:<8}"
        assert out.getvalue() == f"{head}  1.2 s | weaving\n{head}  1.2 s |   done\n{head} failed 1.2 s\n"


def test_quiet_keeps_the_failing_lines():
    for ok, shown in ((True, ""), (False, "      | 1 failed\n")):
        out, live = stream(io.StringIO)
        live.quiet = True
        live.begin(3, 12, Step("test", "python -m pytest"))
        live.log("1 failed")
        live.end(ok, [] if ok else ["1 failed"])
        assert out.getvalue() == f" 3/12 test     {'done' if ok else 'failed'} 1.2 s\n{shown}"


def test_a_failure_shows_the_commands_last_lines():
    out, live = stream(io.StringIO)
    live.begin(3, 12, Step("build", "sdist and wheel"))
    live.end(False, ["E  assert 1 == 2", "1 failed"])
    assert out.getvalue() == " 3/12 build    failed 1.2 s\n      | E  assert 1 == 2\n      | 1 failed\n"


def test_a_terminal_gets_a_live_line(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("weft.tasks.live._TICK", 0.01)
    out, live = stream(Terminal)
    live.begin(3, 12, Step("test", "python -m pytest"))
    live.log("collected 3 items")
    import time
    end = time.monotonic() + 60
    while "1.2 s  collected" not in out.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    live.end(True)
    text = out.getvalue()
    assert "\r\033[K 3/12 test     1.2 s  collected 3 items" in text and text.endswith("\r\033[K 3/12 test     done 1.2 s\n")
    assert "\033[3" not in text


def test_warnings_are_kept_for_the_end():
    out, live = stream(io.StringIO)
    live.warn("not brought forward")
    assert live.warnings == ["not brought forward"] and out.getvalue() == "warning: not brought forward\n"


def test_a_reader_that_went_away_stops_nothing():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError
    live = Live(Gone())
    live.begin(1, 1, Step("test", ""))
    live.end(True)
