"""A command in an application's environment: the virtualenv and settings of one generation, as the entry gives them to the application.

The environment is put together by the application's account itself: root handles no value of the settings, and none stands in the environment
of a process of root's. Standard library of whatever Python the release has; servers/entry.py does the same where a server has loaded it already.
"""

from __future__ import annotations

from pathlib import Path

from weft.typing import Sequence

_PROGRAM = """
import configparser, os, re, sys, json
app, place, *argv = sys.argv[1:]
release, settings = os.path.realpath(place + "/release"), place + "/settings.ini"
with open(place + "/record.json") as handle:
    record = json.load(handle)
venv = release + "/venv"
env = dict(os.environ, PATH=venv + "/bin:" + os.environ["PATH"], VIRTUAL_ENV=venv, WEFT_RELEASE=record["release"], WEFT_VERSION=record["version"])
if os.path.exists(settings):
    env["WEFT_SETTINGS"] = settings
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read(settings, encoding="utf-8")
    for section in parser.sections():
        for key, value in parser.items(section):
            env[re.sub(r"[^A-Z0-9]+", "_", ("%s_%s_%s" % (app, section, key)).upper())] = value
try:
    os.execvpe(argv[0], argv, env)
except OSError as error:
    sys.stderr.write("%s: %s\\n" % (argv[0], error.strerror))
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""


def vector(app: str, place: Path, argv: Sequence[str]) -> list[str]:
    """The argument vector that runs `argv` in the environment of the generation at `place`; for the application's account. A program that is
    not there ends it with 127, one that cannot be run with 126, as a shell has it."""
    return [str(place / "release/venv/bin/python"), "-I", "-c", _PROGRAM, app, str(place), *argv]


def own(environment: dict[str, str]) -> dict[str, str]:
    """What it is started with. Unbuffered: what it has said last must be there when it is ended at its deadline, and in its order."""
    return {**environment, "HOME": "/", "PYTHONUNBUFFERED": "1"}
