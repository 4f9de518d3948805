"""A release of a project that says rollback_safe = false, from its repository over the store to hosts that do not go back from it."""

import dataclasses
import json
import sys

import pytest

from tests import factory
from weft.errors import NeedsHands, Refused
from weft.rollout import environment as environments
from weft.rollout.access import Access
from weft.rollout.local import LocalChannel
from weft.rollout.show import Silent
from weft.testing.fleet import Fleet

pytestmark = pytest.mark.slow
BROKEN = {"verb": "activate", "error": {"error": "failed-undone", "message": "the application failed to start"}}


def test_what_the_project_says_keeps_the_hosts_from_going_back(tmp_path, tmp_path_factory, warm):
    made = factory.make_project(tmp_path / "project")
    factory.run_release(made, "1.1.4", report=factory.Quiet())
    made.configure("rollback_safe = false")
    made.changelog("1.1.5")
    factory.run_release(made, "1.1.5", report=factory.Quiet())
    said = {version: json.loads((made.store / made.name / version / "manifest.json").read_text()) for version in ("1.1.4", "1.1.5")}
    assert [(each["format"], each.get("rollback_safe", True)) for each in said.values()] == [(2, True), (3, False)]

    (made.root / "deploy").mkdir()
    (made.root / "deploy/production.toml").write_text('hosts = ["web1", "web2"]\n')
    fleet, env = Fleet(tmp_path_factory.mktemp("fleet"), 2, ssh=False), environments.load(made.root, "")

    def channel(host):
        return LocalChannel(host, Access("local", sys.executable, prefix=fleet.prefix(host.name), engine=lambda: fleet.program))

    def rollout(verb, version="", **words):
        return env.rollout(dataclasses.replace(env.job(verb, version, **words), open=channel), Silent())

    def serving():
        return [fleet.engine(name, {"verb": "observe", "app": made.name})["state"]["answers"]["version"] for name in ("web1", "web2")]
    for name in ("web1", "web2"):
        fleet.engine(name, {"verb": "setup", "app": made.name})
    rollout("deploy", "1.1.4").run()
    fleet.order("web2", BROKEN)
    with pytest.raises(NeedsHands) as caught:
        rollout("deploy", "1.1.5").run()
    assert serving() == ["1.1.5", "1.1.4"] and caught.value.hint.endswith("to go back: fab rollback --force-unsafe --limit web1")
    rollout("deploy", "1.1.5").run()
    with pytest.raises(Refused, match="1.1.5 is not rollback_safe"):
        rollout("rollback").run()
    assert serving() == ["1.1.5"] * 2
    rollout("rollback", unsafe=True).run()
    assert serving() == ["1.1.4"] * 2
