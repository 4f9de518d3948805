"""Wheels that lead out of their place, and an installer that is somebody's else: what they may write, and who they are when they run."""

import hashlib
import io
import json
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.host.bench_host import HostUnderPrefix, missing, pip_wheel
from weft.host import installer
from weft.values import Artifact

pytestmark = pytest.mark.slow
CANARY = "canary-7b1d2f"
#: What a process is, as it says itself.
WHO = '''
import json, os, socket
def reach():
    try:
        socket.create_connection(("127.0.0.1", {port}), 3).close()
        return "reached"
    except OSError as error:
        return error.strerror
def who():
    said = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return {{"uid": list(os.getresuid()), "gid": list(os.getresgid()), "groups": os.getgroups(), "caps": [said[key].strip() for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")],
             "no_new_privs": said["NoNewPrivs"].strip(), "network": reach(), "environment": dict(os.environ)}}
'''


@pytest.fixture(scope="module")
def made():
    if missing():
        pytest.skip(missing())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPLOY_PASSWORD", CANARY)  # the operator's, which the engine inherits on a local host
        host = HostUnderPrefix()
        try:
            host.ok("setup")
            code, last = host.deploy(*host.release("1.0"))
            assert code == 0, last
            host.number = 0
            yield host
        finally:
            host.close()


@pytest.fixture
def host(made):
    made.number += 1
    made.next = f"1.{made.number}"
    return made


def outside(host, release):
    """All that there is on the host but the release itself, its generation, caches and what lives: names, modes, owners, contents."""
    found = {}
    for folder, dirs, files in os.walk(host.prefix):
        for name in [*dirs, *files]:
            path = Path(folder, name)
            place = str(path.relative_to(host.prefix))
            if release.id in place or place.startswith(("made", "var/app/shop/cache", "var/app/shop/tools", "var/app/shop/run", "var/log", "var/run", "var/lib/weft")):
                continue
            seen = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else os.readlink(path) if stat.S_ISLNK(seen.st_mode) else ""
            if not place.startswith(("var/app/shop/generations", "var/app/shop/slots", "var/app/shop/live", "var/app/shop/current")):
                found[place] = stat.filemode(seen.st_mode), seen.st_uid, content
    return found


def with_installer(release, content, program, imported=""):
    """The release with another pip: `program` is what it does, `imported` what it does before that, when it is imported."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        for name, text in (("__main__", program), ("__init__", ""), ("_internal/__init__", ""), ("_internal/commands/__init__", ""), ("_internal/commands/install", imported)):
            wheel.writestr(zipfile.ZipInfo(f"pip/{name}.py", (2026, 1, 1, 0, 0, 0)), text)
    payload = out.getvalue()
    other = Artifact("pip-99.0-py3-none-any.whl", "installer", len(payload), hashlib.sha256(payload).hexdigest())
    artifacts = tuple(other if each.kind == "installer" else each for each in release.artifacts)
    return replace(release, artifacts=artifacts), {**content, other.sha256: payload}


def add(host, release, content, *entries):
    """More entries of the wheel: (name, text, mode)."""
    artifact = release.of_kind("wheel")[0]
    path = host.files / artifact.name
    with zipfile.ZipFile(path, "a") as out:
        for name, text, mode in entries:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            out.writestr(info, text)
    payload = path.read_bytes()
    other = replace(artifact, size=len(payload), sha256=hashlib.sha256(payload).hexdigest())
    return replace(release, artifacts=tuple(other if a == artifact else a for a in release.artifacts)), {**content, other.sha256: payload}


@pytest.mark.parametrize("name, text", [("../" * 7 + "weft-evil", ""), ("/etc/weft-evil", ""), ("shop-{}.data/data/../../../weft-evil", ""),
                                        ("shop-{}.dist-info/entry_points.txt", "[console_scripts]\n../../../../weft-evil = shop.app:application\n")])
def test_an_entry_that_leads_out_is_refused(host, name, text):
    release, content = add(host, *host.release(host.next), (name.format(host.next), text, 0o100755))
    served, before = host.version(), outside(host, release)
    code, last, _base = host.stage(release, content)
    assert code == 4 and f"{served} (generation " in last["error"]["effect"] and "pip install: ERROR: " in last["error"]["message"], last
    assert outside(host, release) == before and not os.path.lexists("/etc/weft-evil")
    assert list(host.prefix.rglob("weft-evil*")) == [] and host.version() == served


def test_scripts_data_links_and_startup_code_stay_inside_and_never_run_as_root(host):
    mark = host.root / "shared" / "ran"
    startup = f"import os; open({str(mark)!r}, 'a').write(f'{{os.geteuid()}} ')\n"
    version = host.next
    release, content = add(
        host, *host.release(version),
        ("shop-startup.pth", startup, 0o100644), ("shop/link", "/etc/shadow", stat.S_IFLNK | 0o777), ("shop/setuid", "x", stat.S_IFREG | 0o6755),
        (f"shop-{version}.data/scripts/tool", "#!python\nprint(1)\n", 0o100755), (f"shop-{version}.data/scripts/python3.11", "#!/bin/sh\nid > /tmp/weft-evil\n", 0o100755),
        (f"shop-{version}.data/data/etc/cron.d/evil", "* * * * * root id\n", 0o100644))
    before = outside(host, release)
    code, last = host.deploy(release, content)
    assert (code, host.version()) == (0, version), last
    after = outside(host, release)
    after.pop("var/app/shop/shared/ran", None)
    assert after == before and not os.path.exists("/tmp/weft-evil") and not os.path.exists("/etc/cron.d/evil")
    ran = set(mark.read_text().split())
    assert ran and (os.geteuid() or "0" not in ran), "startup code of a wheel ran as root"
    for path in (host.root / "releases").rglob("*"):
        seen = path.lstat()
        assert not seen.st_mode & 0o6000, f"{path} has a setuid bit"
        assert not (seen.st_mode & 0o022) or stat.S_ISLNK(seen.st_mode), f"{path} is others' to write"
    mark.unlink()


def test_who_the_application_is_when_it_is_imported_and_when_it_serves(host):
    noted = host.root / "shared"
    top = WHO.format(port=host.port) + f"json.dump(who(), open({str(noted)!r} + f'/who-{{os.getpid()}}', 'w'))"
    code, last = host.deploy(*host.release(host.next, top=top))
    assert code == 0, last
    seen = [json.loads(path.read_text()) for path in noted.glob("who-*")]
    checks = [each for each in seen if "WEFT_CHECK_GENERATION" in each["environment"]]
    assert checks and len(seen) > len(checks)
    for each in seen:
        assert CANARY not in json.dumps(each)
        if os.geteuid() == 0:
            assert 0 not in (*each["uid"], *each["gid"], *each["groups"]) and set(each["caps"]) <= {"0" * 16}, each
    if os.geteuid() == 0:
        assert {each["no_new_privs"] for each in checks} == {"1"}
    for path in noted.glob("who-*"):
        path.unlink()


def test_who_an_installer_is(host):
    program = WHO.format(port=host.port) + "for key, value in who().items():\n    print(json.dumps([key, value]))\nraise SystemExit(1)\n"
    code, last, _base = host.stage(*with_installer(*host.release(host.next), program))
    assert code == 4, last
    said = dict(map(json.loads, last["error"]["details"]))
    assert CANARY not in json.dumps(last)
    assert set(said["environment"]) <= {"PATH", "LC_ALL", "HOME", "TMPDIR", "WEFT_TRANSACTION", "PWD"}
    if os.geteuid() == 0:
        assert 0 not in (*said["uid"], *said["gid"], *said["groups"]) and set(said["caps"]) == {"0" * 16} and said["no_new_privs"] == "1", said
        assert said["network"] == "Network is unreachable"


def test_pip_is_compiled_once_by_the_installer_and_is_roots_then(host):
    """Each run of pip would else compile it anew: as the installer's account it writes nothing there."""
    compiled = [path for path in (host.root / "tools").rglob("*.pyc") if path.parts[-3] == "_internal"]
    assert compiled, "pip has no byte code"
    for path in compiled:
        seen, source = path.lstat(), (path.parent.parent / f"{path.name.partition('.')[0]}.py").stat()
        assert (os.geteuid() or seen.st_uid == 0) and not seen.st_mode & 0o022
        header = b"\0" * 4 + int(source.st_mtime).to_bytes(4, "little") + source.st_size.to_bytes(4, "little")
        assert path.read_bytes()[4:16] == header, "the byte code is not of this source"


def test_what_is_imported_at_first_are_modules_of_pip(tmp_path):
    """A name that pip gives up would make each of its runs slower, which nobody would see."""
    with zipfile.ZipFile(pip_wheel(tmp_path)) as wheel:
        names = set(wheel.namelist())
    assert [name for name in installer.USED if not names & {f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")}] == []


def test_an_installer_that_is_not_sealed_yet_has_no_wheel_before_it(host):
    """What a wheel may make pip do, it does not do to the next release: pip's tree is root's, and nobody's to write, by then."""
    program = """
import os, pathlib, sys
tree = pathlib.Path(sys.argv[0]).parent
for path in [tree, *tree.rglob("*")]:
    if os.access(path, os.W_OK):
        print("may write", path)
print("sealed", (tree / "SEAL").exists())
raise SystemExit(1)
"""
    code, last, _base = host.stage(*with_installer(*host.release(host.next), program))
    assert code == 4 and last["error"]["details"] == ["sealed True"], last


@pytest.mark.parametrize("imported, said", [("import os; os.symlink('/etc', os.path.join(os.path.dirname(__file__), '__pycache__/x.pyc'))", "/__pycache__/x.pyc is not byte code"),
                                            ("import os; os.mkdir(os.path.join(os.path.dirname(__file__), '__pycache__/x.pyc'))", "/__pycache__/x.pyc is not byte code"),
                                            ("import os; open(os.path.join(os.path.dirname(__file__), '__pycache__/sitecustomize.py'), 'w')", "sitecustomize.py is not byte code"),
                                            ("import os; os._exit(0)", "ended before it was ready to install"), ("import os; os._exit(3)", "ended with 3")])
def test_an_installer_that_leaves_more_than_byte_code_is_refused_and_gone(host, imported, said):
    before, served = sorted(host.root.joinpath("tools").iterdir()), host.version()
    release, content = with_installer(*host.release(host.next), "", imported)
    code, last, _base = host.stage(release, content)
    assert code in (3, 4) and said in last["error"]["message"] and f"{served} (generation " in last["error"]["effect"], last
    assert sorted(host.root.joinpath("tools").iterdir()) == before and host.version() == served


#: An installer that leaves links where root writes next, and a process that is nobody's child.
EVIL = '''
import os, sys, time
place, victims = os.path.dirname(sys.prefix), {victims!r}
for name, victim in victims.items():
    os.symlink(victim, os.path.join(place, name))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        os.execve(sys._base_executable, [sys._base_executable, "-I", "-c", "import time; time.sleep(600)", "{token}"], {{}})
    os._exit(0)
'''


def running(token):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if token.encode() in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0"):
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="root, which the accounts of a host are switched by: sudo make test")
def test_an_installer_does_not_lead_root_elsewhere_and_leaves_nobody(host):
    victim = host.prefix / "etc" / "victim"
    victim.mkdir()
    victims = {**{name: str(victim / name) for name in ("settings.ini", "entry.json", "manifest.json")}, "entry": str(victim)}
    token = f"weft-left-{os.getpid()}-{host.number}"
    served = host.version()
    code, last, _base = host.stage(*with_installer(*host.release(host.next), EVIL.format(victims=victims, token=token)))
    try:
        assert code in (3, 4) and f"{served} (generation " in last["error"]["effect"], last
        assert list(victim.iterdir()) == [], "root wrote where somebody else wanted"
        assert running(token) == [], "it left a process that may go on writing"
    finally:
        for pid in running(token):
            os.kill(pid, 9)
    assert host.version() == served
    code, last = host.deploy(*host.release(f"2.{host.number}"))
    assert code == 0, last
