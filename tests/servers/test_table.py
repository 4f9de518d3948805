"""docs/reference/servers.md: its rows are the suite's promises, its columns servers that exist, and each cell what a run has recorded."""

import json
import re
from pathlib import Path

from weft.adapters import known
from weft.testing.server_behaviour import PROMISES, ServerBehaviour
from weft.testing.server_life import RECORD, record

PLACE = Path(__file__).parents[2] / "docs/reference"
SEEN = json.loads((PLACE / "servers.json").read_text())


def test_the_rows_are_the_suites_promises_and_the_columns_its_servers():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in (PLACE / "servers.md").read_text().splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == ["promise", *PROMISES.values()]
    assert [cell.strip("`") for cell in rows[0][1:]] == sorted({*known(), *SEEN}) and set(SEEN) == {*known(), "gunicorn"}


def test_what_is_recorded_of_a_server_is_all_of_it_and_nothing_was_lost():
    for server, said in SEEN.items():
        assert set(said) == set(PROMISES), server
        assert not [promise for promise, figures in said.items() if figures.get("failed") or figures.get("mixed")], server


def test_every_promise_is_noted_by_a_test_of_the_suite():
    source = Path(__import__("sys").modules[ServerBehaviour.__module__].__file__).read_text()
    assert set(re.findall(r'note\("(\w+)"', source)) == set(PROMISES)


def test_figures_are_added_to_those_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv(RECORD, str(tmp_path / "seen.json"))
    for server, promise in ("a", "switch"), ("b", "switch"), ("a", "trace"):
        record(server, promise, {"files": 0})
    assert json.loads((tmp_path / "seen.json").read_text()) == {"a": {"switch": {"files": 0}, "trace": {"files": 0}}, "b": {"switch": {"files": 0}}}
    monkeypatch.delenv(RECORD)
    record("c", "switch", {})
