"""The engine as set-up installs it: byte code for the host's own Python, the sources for any other."""

import importlib.util
import subprocess
import sys

from weft.host import program
from weft.rollout import zipapp

WHERE = "import sys; sys.path.insert(0, sys.argv[1]); from weft.host import machine, commands; import weft.errors as e; print(*{m.__file__.rpartition('.')[2] for m in (machine, commands, e)})"


def installed(tmp_path, change=lambda content: content):
    payload = zipapp.archive(zipapp.sources())
    path = tmp_path / "weft-host"
    path.write_bytes(change(program.compiled(payload, path)))
    return payload, path


def run(*words, input=None):
    return subprocess.run([sys.executable, "-I", *map(str, words)], input=input, capture_output=True, check=False)


def test_it_starts_from_byte_code_and_keeps_its_sources(tmp_path):
    payload, path = installed(tmp_path)
    assert run("-c", WHERE, path).stdout == b"pyc\n"
    assert b"protocol 1, not 99" in run(path, "--prefix", tmp_path / "host", input=b'{"protocol": 99}\n').stdout
    assert path.read_bytes().startswith(zipapp.SHEBANG) and path.stat().st_size > len(payload)
    done = run("-c", "import sys; sys.path.insert(0, sys.argv[1]); from weft.values import Version; Version('x')", path)
    assert f'File "{path}/weft/values.py", line'.encode() in done.stderr


def test_another_python_takes_the_sources(tmp_path):
    _, path = installed(tmp_path, lambda content: content.replace(importlib.util.MAGIC_NUMBER, b"\x01\x02\r\n"))
    assert run("-c", WHERE, path).stdout == b"py\n"
    assert b"protocol 1, not 99" in run(path, "--prefix", tmp_path / "host", input=b'{"protocol": 99}\n').stdout


def test_the_note_tells_what_it_was_made_from(tmp_path):
    payload, path = installed(tmp_path)
    said = program.note(path.read_bytes(), payload)
    assert program.current(said, path.read_bytes(), payload)
    assert not program.current(said, path.read_bytes(), payload + b"x") and not program.current(said, path.read_bytes() + b"x", payload)
    assert not program.current(said.split()[0], path.read_bytes(), payload), "a note of an older weft has one digest"
