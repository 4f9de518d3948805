"""The chain of trust as people type it: inv on the publisher's side, fab on the operator's, a real engine on a host under a prefix."""

import json
import os
import subprocess
import sys

import pytest

from tests.host.bench_host import PYTHON, HostUnderPrefix, missing
from tests.signers import make_key
from weft.index import Sealed
from weft.stores.directory import DirectoryStore

APP = "weaveserver"


@pytest.fixture
def run(project, tmp_path):
    """Runs `inv …` or `fab …` in a project: (exit code, standard output, standard error)."""
    project.write("tasks.py", "from weft.tasks.release import ns\n")
    project.write("fabfile.py", "from weft.tasks.deploy import ns\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "120",
           "XDG_STATE_HOME": str(tmp_path / "state")}

    def run(program, *words):
        module = {"inv": "invoke", "fab": "fabric"}[program]
        done = subprocess.run([sys.executable, "-m", module, *words], cwd=project.root, env=env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=300)
        assert "\nTraceback" not in "\n" + done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr
    run.project, run.env = project, env
    return run


def test_verify_yank_and_index(run):
    run.project.commit("tasks")
    assert run("inv", "release", "--version", "1.1.4", "--yes")[0] == 0
    commit = run.project.git("rev-parse", "--short=12", "1.1.4^{}")
    assert run("inv", "verify", "--version", "1.1.4")[:2] == (
        0, f"weaveserver 1.1.4: 6 files, tag 1.1.4 = {commit}, not signed\nnothing stands against it\n")
    code, out, _ = run("inv", "yank", "--version", "1.1.4", "--why", "loses orders")
    assert (code, out) == (0, "weaveserver 1.1.4 is yanked: loses orders\nindex: serial 2\n")
    assert run("inv", "verify", "--version", "1.1.4")[1].endswith("\nyanked: loses orders\n")
    code, out, _ = run("inv", "index", "--json")
    said = json.loads(out)
    assert (code, said["serial"], said["versions"]["1.1.4"]["yanked"]) == (0, 3, "loses orders")


@pytest.mark.parametrize("words, says", [
    (["verify"], "which version?"), (["yank"], "which version?"), (["verify", "--version", "../x"], "'../x' is not a version"),
    (["yank", "--version", "1.1.4"], "why? A version is taken back for a reason that operators are shown"),
])
def test_words_that_name_nothing(run, words, says):
    run.project.commit("tasks")
    code, out, err = run("inv", *words)
    assert (code, err.splitlines()[0]) == (2, says)
    assert not run.project.store.exists()


@pytest.fixture
def prefix():
    if missing():
        pytest.skip(missing())
    made = HostUnderPrefix()
    try:
        yield made
    finally:
        made.close()


def signing_project(run, prefix, key):
    """The project signs, its environment is a host under a prefix."""
    project = run.project
    project.write("deploy/allowed_signers", key.allowed())
    doors = ", ".join(map(str, prefix.site["doors"]))
    project.write("deploy/local.toml", f'transport = "local"\nserver = "express"\nprefix = "{prefix.prefix}"\nhosts = ["here"]\n'
                  f'python = "{PYTHON}"\n[site]\nport = {prefix.port}\ndoors = [{doors}]\nhostname = "shop.test"\n[rollout]\nwatch = 0.1\n'
                  '[health]\ncontains = "weaveserver {version}"\n')
    config = project.root / "pyproject.toml"
    config.write_text(config.read_text().replace("[tool.weft]\n", f'[tool.weft]\nsigning_key = "{key.path}"\n'))
    project.commit("sign")


@pytest.mark.slow
def test_signed_release_goes_out_and_nothing_else_does(run, prefix, tmp_path):
    key, project = make_key(tmp_path), run.project
    signing_project(run, prefix, key)
    assert run("inv", "release", "--version", "1.1.4", "--yes")[0] == 0
    code, out, err = run("fab", "setup")
    assert code == 0 and "etc/weft/weaveserver/allowed_signers (1 allowed signers)" in out, err
    kept = prefix.prefix / "etc/weft/weaveserver/allowed_signers"
    assert kept.read_text() == key.allowed() and kept.stat().st_mode & 0o777 == 0o644
    code, out, err = run("fab", "deploy", "--version", "1.1.4")
    assert code == 0, err
    assert served(prefix) == "weaveserver 1.1.4"
    remembered = json.loads((prefix.prefix / "var/lib/weft/weaveserver/index-serial").read_text())
    assert remembered["serial"] == 1

    # An operator who does not check cannot talk the host into it: the manifest is changed, and the operator knows no signers.
    place = project.store / APP / "1.1.4"
    text = (place / "manifest.json").read_text()
    (project.root / "deploy/allowed_signers").unlink()
    for each in place.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
    (place / "manifest.json").write_text(text.replace("something new", "something else"))
    index = Sealed.from_bytes(DirectoryStore(project.store).index(APP))
    code, out, err = run("fab", "deploy", "--version", "1.1.4")
    assert code == 3 and "is not the one that the index names" in err
    (place / "manifest.json").write_text(text)
    (place / "manifest.json.sig").write_text(make_key(tmp_path, "mallory@example.org").sign(text))
    code, out, err = run("fab", "deploy", "--version", "1.1.4")
    assert code == 3 and f"the manifest of weaveserver 1.1.4 is not trusted: {kept} does not allow the key that signed it" in err
    (place / "manifest.json.sig").unlink()
    code, out, err = run("fab", "deploy", "--version", "1.1.4")
    assert code == 3 and "the manifest of weaveserver 1.1.4 is not trusted: it is not signed" in err
    assert served(prefix) == "weaveserver 1.1.4" and index.index.serial == 1

    # Taken back: the way out is an option, on both sides.
    (place / "manifest.json.sig").write_text(key.sign(text))
    (project.root / "deploy/allowed_signers").write_text(key.allowed())
    assert run("inv", "yank", "--version", "1.1.4", "--why", "loses orders")[0] == 0
    code, out, err = run("fab", "plan", "--version", "1.1.4")
    assert code == 3 and err.splitlines()[0] == "weaveserver 1.1.4 was yanked: loses orders"
    assert "next: --force-yanked deploys it all the same" in err
    code, out, err = run("fab", "deploy", "--version", "1.1.4", "--force-yanked")
    assert code == 0, err


def served(prefix):
    import urllib.request
    request = urllib.request.Request(f"http://127.0.0.1:{prefix.port}/", headers={"Host": "shop.test"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode().strip()
