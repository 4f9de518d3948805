"""An Apache configuration of somebody else's that is broken: no switch needs it, nothing touches it, and set-up names it."""

import json
import os
import subprocess

import pytest

from tests.host.bench_host import SOURCE

pytestmark = pytest.mark.slow
BROKEN = "<VirtualHost *:1>\n    NoSuchDirective yes\n"


def seen(*paths):
    return [(path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in paths]


def test_a_neighbours_broken_configuration(host):
    release, content = host.release("1.0")
    assert host.deploy(release, content)[0] == 0
    folder = host.prefix / "etc/httpd/sites"
    theirs, ours = folder / "neighbour.conf", [folder / "shop.conf", host.prefix / "etc/httpd/httpd.conf"]
    theirs.write_text(BROKEN)
    os.utime(theirs, (1_000_000_000, 1_000_000_000))
    before, own = seen(theirs), seen(*ours)

    assert host.ok("observe", release=release.to_json())["faults"] == []
    code, last = host.deploy(*host.release("1.1"))
    assert (code, host.version()) == (0, "1.1"), last
    back = host.ok("rollback", to="", base=2)
    host.ok("confirm", generation=back["generation"])
    assert host.version() == "1.0"
    host.site["confirm"] = 1
    assert host.call("rollback", to="1.1", base=1)[0] == 0
    assert host.wait_version("1.0") == "1.0", "the way back by itself needs it as little"
    done = subprocess.run([*host.argv(), "recover", "shop"], capture_output=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    assert done.returncode == 0, done.stderr
    assert (seen(theirs), seen(*ours)) == (before, own)

    for processes in (2, 3):  # nothing of weft's to write, and something
        host.site["processes"] = processes
        code, last, _ = host.call("setup")
        error = last["error"]
        assert code == 3 and "neighbour.conf" in error["message"] and "the server refuses its configuration" in error["message"], last
        assert "<VirtualHost> was not closed" in json.dumps(error) and error["next"] == "correct the server's configuration; what weft wrote has been taken back"
        assert seen(theirs) == before and [each[0] for each in seen(*ours)] == [each[0] for each in own] and host.version() == "1.0"
    host.site["confirm"] = 60
    theirs.write_text("# mended by its owner\n")
    assert host.ok("setup")["did"]
    code, last = host.deploy(*host.release("1.2"))
    assert (code, host.version()) == (0, "1.2"), last
