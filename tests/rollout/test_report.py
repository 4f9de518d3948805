"""The page of a rollout, and the record that it is made from."""

import html.parser
import json
import os
import re

import pytest

from weft.errors import FailedUndone, Refused
from weft.rollout import record, report
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.show import Silent
from weft.secret import Hidden

EVIL = "<script>alert(1)</script>\"'&"
SEEN = {"before": {"requests": 200, "errors": 1}, "after": {"requests": 50, "errors": 2}, "ms": {"median": 3.5, "most": 9.0}}


class Tags(html.parser.HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.attributes, self.open, self.odd = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "line", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in ("meta", "line", "rect") and (not self.open or self.open.pop() != tag):
            self.odd.append(tag)


def recorded(folder, clean=lambda said: said, name="web1"):
    now = [1000.0]

    def clock():
        now[0] += 1
        return now[0]
    made = record.Record(Silent(), folder, {"app": "shop", "env": "live", "verb": "deploy", "version": "1.1", "by": "ann@here", "hosts": [name, "web2"]}, clean, clock)
    run = HostRun(Host(name), None)
    made.host(name, {"event": "phase", "verb": "stage"})
    made.host(name, {"event": "end", "verb": "stage", "failed": False})
    made.phase("wave 1 of 2: web1 (canary)")
    made.host(name, {"event": "phase", "verb": "activate"})
    made.host(name, {"event": "step", "kind": "flip", "n": 1, "of": 2, "text": "hunter2-secret"})
    made.host(name, {"event": "end", "verb": "activate", "failed": True})
    run.status, run.seen, run.switch_ms, run.error = "failed", SEEN, 3.0, FailedUndone(f"it failed {EVIL}", details=["Traceback", EVIL])
    made.end([run], FailedUndone("web1: it failed"))
    return made


def test_a_record_is_the_users_alone_has_no_secret_and_the_last_twenty_stay(tmp_path):
    for n in range(record.KEPT + 3):
        (tmp_path / f"0{n:03}.jsonl").write_text("{}\n")
    recorded(tmp_path, Hidden(["hunter2-secret"]).walk)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == record.KEPT and (tmp_path / names[-1]).stat().st_mode & 0o777 == 0o600
    text = (tmp_path / names[-1]).read_text()
    assert "hunter2" not in text and "***" in text
    lines = record.last(tmp_path)
    assert (lines[0]["kind"], lines[-1]["code"], lines[-1]["hosts"]["web1"]["lines"]) == ("begin", 4, ["Traceback", EVIL])
    (tmp_path / names[-1]).write_text(text[:-10])
    assert record.last(tmp_path)[-1]["kind"] == "host", "a line that is torn counts for nothing"


def test_a_disk_that_takes_no_records_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    recorded(tmp_path / "file")


def test_where_records_lie():
    assert str(record.place("shop", "live", {"XDG_STATE_HOME": "/state"})) == "/state/weft/rollouts/shop.live"
    assert str(record.place("shop", "live", {"XDG_STATE_HOME": "relative"})).endswith("/.local/state/weft/rollouts/shop.live")


def test_the_page_stands_alone_and_every_text_is_escaped(tmp_path):
    recorded(tmp_path, name=f"web{EVIL}")
    text = report.page(record.last(tmp_path))
    tags = Tags(text)
    assert (tags.odd, tags.open) == ([], []) and "script" not in tags.seen and "svg" in tags.seen and tags.seen.count("table") == 2
    assert not re.search(r"https?:|url\(|@import", text) and not {"src", "href", "onload"} & {name for name, _ in tags.attributes}
    assert "prefers-color-scheme:dark" in text and text.count("&lt;script&gt;") >= 5
    for said in ("0.50 % of 200", "4.00 % of 50", "3.5 ms, at most 9.0 ms", "wave 1 of 2", "ended with 4", "Traceback"):
        assert said in text, said
    assert ("role", "img") in tags.attributes and ("scope", "col") in tags.attributes


def test_bars_are_what_a_host_did_and_one_that_never_ended_lasts_to_the_end(tmp_path):
    recorded(tmp_path)
    lines = record.last(tmp_path)
    assert [(each["verb"], each["end"] - each["begin"], each["failed"]) for each in report.bars(lines)] == [("stage", 1.0, False), ("activate", 2.0, True)]
    cut = [each for each in lines if not (each["kind"] == "host" and each.get("event") == "end" and each["verb"] == "activate") and each["kind"] != "end"]
    assert report.bars(cut)[-1]["end"] == cut[-1]["at"] and "did not come to its end" in report.page(cut)


def test_what_it_did_not_write_is_left(tmp_path):
    path = tmp_path / "x.html"
    report.write(path, f"<!doctype html>\n{report.MARK}\none")
    report.write(path, f"<!doctype html>\n{report.MARK}\ntwo")
    assert path.read_text().endswith("two")
    (tmp_path / "mine.html").write_text("mine")
    (tmp_path / "link.html").symlink_to(path)
    for name in ("mine.html", "link.html", "", "no/where.html"):
        with pytest.raises(Refused, match="fab report did not write it|cannot be written"):
            report.write(tmp_path / name, report.MARK)
    assert (tmp_path / "mine.html").read_text() == "mine" and os.readlink(tmp_path / "link.html") == str(path)


@pytest.mark.slow
def test_a_rollout_is_recorded(quick, yard, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    environment = quick()
    job = environment.env.job("deploy", "1.1")
    made = environment.env.record(job, Silent())
    rollout = environment.rollout("deploy", "1.1", progress=made)
    rollout.run()
    made.end(rollout.runs, None)
    lines = record.last(record.place("shop", "production"))
    assert lines[0]["version"] == "1.1" and lines[-1]["hosts"]["web4"]["status"] == "switched" and lines[-1]["hosts"]["web1"]["seen"]["after"]["requests"] == 20
    page = report.page(lines)
    assert "wave 3 of" in page and "5.00 %" not in page and "1.00 % of 100" in page
    assert json.dumps(lines).count('"activate"') == 8
