import os
import subprocess
import sys
from pathlib import Path

import pytest

from weft.errors import Refused, UsageError
from weft.web.settings import Settings, read

ROOT = Path(__file__).resolve().parents[2]


def test_without_any_the_defaults():
    assert read({}) == Settings("/srv/artifacts", "Released artifacts", "", Path.cwd())


def test_the_ini_and_over_it_the_environment(tmp_path):
    ini = tmp_path / "weft.ini"
    ini.write_text("[index]\nstore = releases\ntitle = Ours\nurl =\n")
    assert read({"WEFT_SETTINGS": str(ini)}) == Settings("releases", "Ours", "", tmp_path)
    words = {"WEFT_SETTINGS": str(ini), "WEFT_INDEX_TITLE": "Theirs", "WEFT_INDEX_URL": ""}
    assert read(words).title == "Theirs"


def test_a_typo_is_named_with_what_is_known(tmp_path):
    ini = tmp_path / "weft.ini"
    ini.write_text("[index]\nstroe = x\n[other]\n")
    with pytest.raises(UsageError) as told:
        read({"WEFT_SETTINGS": str(ini)})
    assert told.value.lines() == [f"{ini}: unknown: [other], stroe", "now:  nothing was contacted, nothing changed",
                                  "next: known in [index]: store, title, url"]


def test_an_ini_that_is_not_there_or_none(tmp_path):
    with pytest.raises(UsageError, match="No such file or directory"):
        read({"WEFT_SETTINGS": str(tmp_path / "gone.ini")})
    (tmp_path / "odd.ini").write_text("no section\n")
    with pytest.raises(Refused, match="is not a valid ini file"):
        read({"WEFT_SETTINGS": str(tmp_path / "odd.ini")})


def test_the_entry_finds_the_defaults_of_the_checkout(tmp_path):
    """wsgi/weft.wsgi, loaded as the hosts' entry loads it, by a fresh interpreter without WEFT_SETTINGS."""
    entry = ROOT / "wsgi/weft.wsgi"
    load = ("import sys; path = sys.argv[1]; space = {'__name__': 'x', '__file__': path};"
            "exec(compile(open(path).read(), path, 'exec'), space); import os;"
            "print(callable(space['application']), os.environ['WEFT_SETTINGS'])")
    env = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_")}
    done = subprocess.run([sys.executable, "-c", load, str(entry)], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={**env, "PYTHONPATH": str(ROOT / "src")})
    assert done.stdout.split() == ["True", str(ROOT / "etc/weft.ini")]
