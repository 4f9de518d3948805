"""An operator of its own, for tests that stop or kill it: prints the phases of a rollout, waits for a line at the beginning of its second wave,
and ends with the one object of --json. Its lock has a beat each BEAT seconds. python another_operator.py PLACE VERB VERSION"""

import dataclasses
import os
import sys
from pathlib import Path

from weft.rollout import environment as environments, heartbeat
from weft.rollout.access import Access
from weft.rollout.local import LocalChannel
from weft.rollout.show import Silent
from weft.tasks import shell


class Told(Silent):
    def phase(self, text):
        print(text, flush=True)
        if text.startswith("wave 2"):
            sys.stdin.readline()


def main(place, verb, version):
    heartbeat.BEAT = float(os.environ["BEAT"])

    def channel(host):
        prefix = place / "hosts" / f"127.0.0.{int(host.name[3:]) + 1}"
        return LocalChannel(host, Access("local", sys.executable, prefix=prefix, engine=lambda: place / "engine.py"))
    with shell.translated(json=True):
        env = environments.load(place / "project", limit="web1,web2")
        job = dataclasses.replace(env.job(verb, version), open=channel)
        env.rollout(job, Told()).run()
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
