"""A warm engine: a process that has weft imported and forks for every request, so that thousands of runs with a fault are cheap.

Requests and answers are lines of JSON on its standard input and output. A child's clock may be ahead, its boot another one.
"""

import gc
import importlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What a run imports only when it comes to it: every child would do that anew.
LATE = ("ctypes", "encodings.cp437", "encodings.idna", "pkgutil", "tests.host.faults", "weft.host.confirmation", "weft.host.local", "weft.host.setup")


class Zygote:
    """The test's end."""

    def __init__(self, environment=None, enter=()):
        self.process = subprocess.Popen([*enter, sys.executable, "-m", "tests.host.zygote"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **(environment or {})})

    def run(self, argv, request=None, blobs=(), **fault):
        """{"code", "last", "met", "events"}; code is negative for a signal. fault: at, mode, ahead or clock, boot, pause and patience (seconds), python (its
        version, which is then not asked for)."""
        self.start(argv, request, blobs, **fault)
        return self.finish()

    def start(self, argv, request=None, blobs=(), **fault):
        """Without waiting; `finish` gives what `run` does. The engines of two zygotes run at once."""
        said = {"argv": argv, "request": request, "blobs": [b.hex() for b in blobs], **fault}
        print(json.dumps(said), file=self.process.stdin, flush=True)

    def finish(self):
        line = self.process.stdout.readline()
        assert line, "the zygote has died"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def main():
    engine = warm()
    out = tempfile.TemporaryFile()
    for line in sys.stdin:
        out.seek(0)
        out.truncate()
        pid = os.fork()
        if not pid:
            child(json.loads(line), out.fileno(), engine)
        status = os.waitpid(pid, 0)[1]
        out.seek(0)
        print(json.dumps(answer(out.read(), os.waitstatus_to_exitcode(status))), flush=True)


def warm():
    """The engine, with all done before the fork that is the same in every child. Naps are short: nobody waits here for a person, and all
    waiting is bounded by the clock. The network is not cut off: a namespace for each command costs more than the command."""
    # Under libfaketime clock_nanosleep, which time.sleep calls, knows no monotonic clock.
    nap = (lambda seconds: select.select([], [], [], seconds)) if "FAKETIME_TIMESTAMP_FILE" in os.environ else time.sleep
    time.sleep = lambda seconds: nap(min(seconds, 0.004))
    from tests.host import light
    from weft.host import __main__ as engine, commands, words
    for name in LATE:
        importlib.import_module(name)
    light.register()
    built = words.parser()
    words.parser = lambda: built
    commands.may_die_with_us()
    commands.may_be_alone()
    commands.may_cut_network = lambda: False
    gc.freeze()
    gc.disable()
    return engine


def child(said, out, engine):
    code = 1
    try:
        os.setsid()
        payload = json.dumps(said["request"]).encode() + b"\n" + b"".join(bytes.fromhex(b) for b in said["blobs"])
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(payload)))
        sys.stdout = os.fdopen(os.dup(out), "w")
        sys.argv = ["weft-host"]
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        code = faulty(said, engine)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def faulty(said, engine):
    """Run the engine in this process as `said` wants it; its exit code."""
    from tests.host.faults import Points
    from weft.host import boot, lock, observe, trial
    real_now, real_boot = trial.now, trial.boot_id
    ahead = said["clock"] - real_now() if "clock" in said else said.get("ahead", 0)
    boot.now = trial.now = lambda: real_now() + ahead
    boot.boot_id = trial.boot_id = lambda: said.get("boot") or real_boot()
    if "python" in said:
        observe.python_version = lambda _python: said["python"]
    if "patience" in said:
        real_held = lock.held
        lock.held = lambda layout, by, verb, _wait, *allowed: real_held(layout, by, verb, said["patience"], *allowed)
    points = Points(said.get("at", 0), said.get("mode", "kill"), said.get("pause", 0.0))
    engine.start_watchdog = lambda _request, _number: points.meet("watchdog", lambda: None)
    points.install()
    try:
        engine.main(said["argv"])
        return 0
    except SystemExit as ended:
        return ended.code or 0
    finally:
        points.at = 0
        print(json.dumps({"met": points.count, "names": points.names}))


def answer(output, code):
    lines = []
    for line in output.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            lines.append({"text": line.decode("utf-8", "replace")})
    met = lines.pop() if lines and "met" in lines[-1] else {"met": 0, "names": []}
    return {"code": code, "last": lines[-1] if lines else {}, "events": lines[:-1], **met}


if __name__ == "__main__":
    main()
