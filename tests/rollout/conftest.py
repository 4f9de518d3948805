"""A fleet on loopback: real sshd, fake engines. Its hosts are set up anew for every test."""

import dataclasses
import os
import threading
import time
from functools import partial

import pytest

from weft.rollout import environment as environments, hostrun
from weft.rollout.local import LocalChannel
from weft.rollout.access import Access
from weft.testing.fleet import SSHD, Fleet

needs_sshd = pytest.mark.skipif(not os.path.exists(SSHD), reason="no sshd: apt-get install openssh-server")


def wait_for_order(yard, name):
    """Until a host's engine has begun what it was ordered to fail at, or be slow at."""
    end = time.monotonic() + 60
    while (yard.prefix(name) / "orders.json").read_text() != "[]" and time.monotonic() < end:
        time.sleep(0.02)


def end_left(run):
    """What a second Ctrl-C has left behind: the host's engine, and the threads that ask it."""
    run._channel.hang_up()
    for each in threading.enumerate():
        if each.name.startswith("weft-host-"):
            each.join(60)


@pytest.fixture
def hurry(monkeypatch):
    """A host that is lost is asked again soon, and given up soon after its time."""
    monkeypatch.setattr(hostrun, "PAUSE", 0.05)
    monkeypatch.setattr(hostrun, "GRACE", 0.5)


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    if not os.path.exists(SSHD):
        pytest.skip("no sshd: apt-get install openssh-server")
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), 8)
    fleet.sshd.start()
    yield fleet
    fleet.sshd.stop()


@pytest.fixture
def fleet(started):
    started.fresh()
    started.configure()
    keys = started.root / "deploy" / "known_hosts"
    before = keys.read_text()
    yield started
    keys.write_text(before)


@pytest.fixture
def load(fleet):
    """load(limit, **access): the environment over SSH, by the fleet's own ssh_config."""
    from fabric import Config

    def load(limit="", **access):
        config = Config(runtime_ssh_path=str(fleet.place / "ssh_config"))
        env = environments.load(fleet.root, "", limit, config)
        only = (env.access.project_keys,)
        return dataclasses.replace(env, access=dataclasses.replace(
            env.access, **{"command": str(fleet.command), "known_hosts": only, **access}))
    return load


@pytest.fixture(scope="session")
def yard(tmp_path_factory):
    """A fleet without sshd: its engines are started here."""
    return Fleet(tmp_path_factory.mktemp("yard"), 4, ssh=False)


@pytest.fixture(autouse=True)
def anew(request):
    if "yard" in request.fixturenames:
        request.getfixturevalue("yard").fresh()


@pytest.fixture
def quick(yard):
    """quick(limit): the environment, every host a process here with a prefix of its own."""
    import sys

    def channel(host):
        return LocalChannel(host, Access("local", sys.executable, prefix=yard.prefix(host.name),
                                         engine=lambda: yard.program))

    def load(limit="", more="", **changes):
        yard.configure(more)
        env = environments.load(yard.root, "", limit)
        env = dataclasses.replace(env, **changes)
        return Quick(env, channel)
    return load


class Quick:
    """An environment whose jobs open channels without SSH."""

    def __init__(self, env, channel):
        self.env, self.channel = env, channel

    def rollout(self, verb, version="", to="", progress=None):
        from weft.rollout.show import Silent
        job = dataclasses.replace(self.env.job(verb, version, to), open=partial(self.channel))
        return self.env.rollout(job, progress or Silent())
