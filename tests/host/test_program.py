"""The engine as set-up installs it: byte code for the host's own Python, the sources for any other."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

from weft.host import program
from weft.rollout import zipapp

WHERE = """import sys, zipimport; sys.path.insert(0, sys.argv[1]); from weft.host import start; print(start.hold(zipimport.zipimporter(sys.argv[1])))
from weft.host import machine, commands; import weft.servers, weft.errors as e; print(*{type(m.__spec__.loader).__name__ for m in (machine, commands, weft.servers, e)})
print(machine.__file__, *weft.servers.__path__); print(len(weft.servers.entry_file(type("S", (), {"app": "shop", "root": "/x"}))["/x/entry.wsgi"]) > 1000)
print(*weft.adapters.known())"""
LOOK = {"weft.host.machine", "weft.host.observe", "weft.host.goback", "weft.servers.apache"}
ACTING = {"weft.apply", "weft.host.stage", "weft.host.switch", "weft.host.traffic", "weft.host.settings", "weft.host.beside", "weft.config.ini"}
HEAVY = {"typing", "subprocess", "shutil", "threading", "pkgutil", "dataclasses", "inspect", "configparser", "http.client", "tempfile", "zlib", "base64"}
"""Of the standard library: what a look can do without, at a millisecond each and more."""


def installed(tmp_path, change=lambda content: content):
    payload = zipapp.archive(zipapp.sources())
    path = tmp_path / "weft-host"
    path.write_bytes(change(program.compiled(payload, path)))
    return payload, path


def run(*words, input=None, python=sys.executable):
    return subprocess.run([python, "-I", *map(str, words)], input=input, capture_output=True, check=False)


def test_it_starts_from_byte_code_and_keeps_its_sources(tmp_path):
    payload, path = installed(tmp_path)
    seen = run("-c", WHERE, path).stdout.decode().splitlines()
    assert seen == ["True", "Held", f"{path}/weft/host/machine.py {path}/weft/servers", "True", "express mod_wsgi passenger uwsgi"]
    assert b"protocol 1, not 99" in run(path, "--prefix", tmp_path / "host", input=b'{"protocol": 99}\n').stdout
    assert path.read_bytes().startswith(zipapp.SHEBANG) and path.stat().st_size > len(payload)
    done = run("-c", f"{WHERE}\nimport traceback; from weft.values import Version\ntry: Version('x')\nexcept Exception: traceback.print_exc()", path)
    told = done.stderr.decode()
    assert f'File "{path}/weft/values.py", line' in told and "    raise UsageError(" in told, "the traceback of a bug has no lines of the source"


def test_another_python_takes_the_sources(tmp_path):
    _, path = installed(tmp_path, lambda content: content.replace(importlib.util.MAGIC_NUMBER, b"\x01\x02\r\n"))
    assert run("-c", WHERE, path).stdout.decode().splitlines()[:2] == ["False", "zipimporter"]
    assert b"protocol 1, not 99" in run(path, "--prefix", tmp_path / "host", input=b'{"protocol": 99}\n').stdout


def test_the_note_tells_what_it_was_made_from(tmp_path):
    payload, path = installed(tmp_path)
    said = program.note(path.read_bytes(), payload)
    assert program.current(said, path.read_bytes(), payload)
    assert not program.current(said, path.read_bytes(), payload + b"x") and not program.current(said, path.read_bytes() + b"x", payload)
    assert not program.current(said.split()[0], path.read_bytes(), payload), "a note of an older weft has one digest"


def loaded(python, path, *words, input):
    done = run("-S", "-X", "importtime", path, *words, input=input, python=python)
    return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_look_loads_what_it_needs_and_the_rest_once_there_is_a_plan(host, tmp_path):
    _, path = installed(tmp_path)
    for version in ("1.0", "1.1"):
        assert host.deploy(*host.release(version))[0] == 0
    request = {"protocol": 1, "verb": "observe", "app": "shop", "by": "tester@here", "site": host.site}

    def look(**more):
        names, said = loaded(host.site["python"], path, "--prefix", host.prefix, input=json.dumps({**request, **more}).encode() + b"\n")
        return names, said[-1]["result"]
    names, said = look(rollback={"to": "1.1"})
    assert said["faults"] == [] and said["plan"] is None and LOOK - {"weft.host.goback"} <= names and names & (ACTING | HEAVY) == set()
    names, said = look(rollback={"to": ""})
    assert said["plan"]["steps"] and names >= LOOK | {"weft.host.stage", "weft.host.switch"}


def test_an_engine_that_is_replaced_goes_on_with_what_it_began_with(host, tmp_path):
    """All of its code is in memory once it runs: a set-up may put another file in the place of its own at any time."""
    _, path = installed(tmp_path)
    assert host.deploy(*host.release("1.0"))[0] == 0
    release, _content = host.release("1.1")
    engine = subprocess.Popen([sys.executable, "-IS", path, "--prefix", host.prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        while b"weft-host" not in Path(f"/proc/{engine.pid}/cmdline").read_bytes() or "pipe" not in Path(f"/proc/{engine.pid}/wchan").read_text():
            assert engine.poll() is None
            time.sleep(0.05)
        path.write_bytes(b"another")
        request = {"protocol": 1, "verb": "observe", "app": "shop", "by": "tester@here", "site": host.site, "release": release.to_json()}
        said, _ = engine.communicate(json.dumps(request).encode() + b"\n", timeout=60)
    finally:
        engine.kill()
        engine.wait()
    assert json.loads(said.splitlines()[-1])["result"]["faults"] == []
