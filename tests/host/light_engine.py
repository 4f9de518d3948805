"""The engine as a process of its own, with its watchdog, for the light server: what signals and closed pipes do to it is the real thing."""

import json
import os
import subprocess
import sys

from tests.host.zygote import ROOT


def start(host, verb, blobs=(), **words):
    """The process, its request written; its answers are lines on stdout."""
    request = {"protocol": 1, "verb": verb, "app": "shop", "by": "anna@desk", "site": host.site, **words}
    process = subprocess.Popen([sys.executable, "-m", "tests.host.light_engine", "--prefix", str(host.prefix)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, cwd=ROOT, start_new_session=True)
    process.stdin.write(json.dumps(request).encode() + b"\n" + b"".join(blobs))
    process.stdin.close()
    return process


def until(process, kind, state):
    """Read on until the engine tells that a step has come so far."""
    for line in process.stdout:
        said = json.loads(line)
        if (said.get("kind"), said.get("state")) == (kind, state):
            return
    raise AssertionError(f"it ended without {kind} {state}")


def main():
    from tests.host import light
    from weft.host import __main__ as engine
    light.register()
    engine.engine_argv = lambda prefix: [sys.executable, "-m", "tests.host.light_engine", *(["--prefix", prefix] if prefix else [])]
    engine.main()


if __name__ == "__main__":
    main()
