"""What is waited for after a slot was started anew."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.servers.test_contract import SITE
from weft.errors import FailedUndone
from weft.host import health, processes, switch
from weft.host.layout import Layout
from weft.servers import Server


@pytest.mark.parametrize("lazy", [True, False])
def test_a_server_that_starts_processes_when_it_is_asked_is_asked_at_the_slots_door(monkeypatch, tmp_path, lazy):
    site, asked = replace(SITE, prefix=str(tmp_path), processes=1, health=replace(SITE.health, timeout=1)), []
    adapter = SimpleNamespace(lazy=lazy, pidfile=lambda site: str(tmp_path / "pid"), accepting=Server.accepting.__get__(object()), error_log=lambda site, slot: str(tmp_path / "log"))
    monkeypatch.setattr(switch, "find", lambda name: adapter)
    monkeypatch.setattr(switch, "ids", lambda layout, account: (os.geteuid(), 0))
    monkeypatch.setattr(health, "ask", lambda port, site, seconds: asked.append(port))
    monkeypatch.setattr(processes, "marks", lambda *_: [processes.Mark(7, "ready", 3, "")] if asked else [])
    work = SimpleNamespace(site=site, layout=Layout("shop", str(tmp_path)))
    if lazy:
        switch.wait_ready(work, "b", 3)
        assert asked == [site.doors[1]]
    else:
        with pytest.raises(FailedUndone, match="the processes of slot b were not ready after 1 s"):
            switch.wait_ready(work, "b", 3)
        assert asked == []
