import io
import re
import os
import pty
import threading

from weft.rollout import show


def step(state, n=1, text="install shop 1.1", **more):
    return {"event": "step", "n": n, "of": 3, "kind": "release", "text": text, "state": state, "seconds": 1.26, **more}


def test_plain_lines_have_no_times_of_their_own():
    seen = io.StringIO()
    plain = show.Plain(seen)
    plain.phase("staging on 2 hosts")
    for event in ({"event": "phase", "verb": "stage"}, step("start"), step("done"), step("failed"), {"event": "log", "text": "hm"},
                  {"event": "end", "verb": "stage", "failed": True}, {"event": "error", "text": "web1: it broke\nTraceback"},
                  {"event": "end", "verb": "confirm", "failed": True}, {"event": "end", "verb": "confirm", "failed": False},
                  {"event": "end", "verb": "confirm", "failed": False, "held": True}):
        plain.host("web1", event)
    assert seen.getvalue().splitlines() == [
        "staging on 2 hosts", "web1: install shop 1.1 (1.3 s)", "web1: failed: install shop 1.1", "web1: hm",
        "web1: failed: it broke", "web1: confirmed", "web1: held on trial until the rollout ends"]


def test_lines_of_many_hosts_never_mix():
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream, os.fdopen(read) as lines:
        plain = show.Plain(stream)
        threads = [threading.Thread(target=lambda n=n: [plain.line(f"{n}" * 200) for _ in range(20)]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stream.close()
        assert sorted(set(lines.read().splitlines())) == [f"{n}" * 200 for n in range(4)]


def test_the_one_that_fits(monkeypatch):
    assert type(show.progress(True)) is show.Silent
    assert type(show.progress(False, io.StringIO())) is show.Plain
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setenv("TERM", "xterm")
        assert type(show.progress(False, terminal)) is show.Live
        monkeypatch.setenv("TERM", "dumb")
        assert type(show.progress(False, terminal)) is show.Plain
    os.close(ours)


def test_the_live_table_has_a_line_a_host_with_step_and_time():
    from rich.console import Console
    live = show.Live(io.StringIO())
    live.host("web1", {"event": "phase", "verb": "stage"})
    live.host("web1", step("start", 2))
    live.host("web2", {"event": "phase", "verb": "activate"})
    live.host("web2", {"event": "end", "verb": "activate", "failed": True})
    seen = io.StringIO()
    Console(file=seen, width=100).print(live.table())
    first, second = seen.getvalue().splitlines()
    assert first.split()[:-2] == ["web1", "staging", "2/3", "install", "shop", "1.1"] and re.search(r" \d+\.\d s$", first.rstrip())
    assert second.split() == ["web2", "failed"]
