"""What fab's tables say beside their columns."""

from weft.rollout import tables

PINS = {"1.0": {"by": "anna@web1", "at": "2026-01-02T03:04:05Z"}}
STATE = {"set_up": True, "live": 1, "generations": [{"number": 1, "release": "1.1-aaaaaa", "version": "1.1", "status": "good", "at": "", "by": "", "note": ""}],
         "answers": {"status": 200, "version": "1.1", "release": "1.1-aaaaaa"}}


def test_pins_are_shown_where_there_are_some():
    said = tables.status({"web1": {**STATE, "pins": PINS}, "web2": {**STATE, "pins": {}}, "web3": STATE})
    assert said[4:] == ["web1: pinned: 1.0 (by anna@web1, 2026-01-02 03:04:05 UTC)"]


def test_drift_is_counted_a_host_and_cut_where_it_is_long():
    said = tables.drift({"web1": {"site": [], "releases/1": ["changed a", "changed b", "changed c"]}, "web2": {"site": []}}, 2)
    assert said == ["web1: 1 of 2 parts are as they were installed", "  releases/1: changed a", "  releases/1: changed b", "  releases/1: and 1 more",
                    "web2: 1 of 1 parts are as they were installed"]
