"""Disks that are small, full, without inodes or read-only: what is served, what is told, and that the same command goes on afterwards."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest

from tests.host import bench_host, mounts
from tests.host.light_host import make_release

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(mounts.missing()), reason=mounts.missing())]
PLENTY, FILES = "300m", 20_000


@pytest.fixture(scope="module")
def namespace():
    made = mounts.Mounts()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def made(namespace):
    host = mounts.LightMounted(namespace)
    try:
        host.app, host.var, host.etc, host.number = host.prefix / "var/app", host.prefix / "var/lib/weft", host.prefix / "etc", 0
        namespace.disk(host.app, size=PLENTY, nr_inodes=FILES)
        namespace.disk(host.var, size="4m")
        host.ok("setup")
        host.deploy(*make_release("1.0"))
        yield host
    finally:
        host.close()


@pytest.fixture
def host(made):
    """Room enough, and a good release serves."""
    made.mounts.disk(made.app, size=PLENTY, nr_inodes=FILES)
    made.number += 1
    return made


def next_release(host, **files):
    """files: how many, each of which size in bytes; small as long as they are packed."""
    release, content = make_release(f"1.{host.number}")
    return with_wheel(release, content, **files)


def with_wheel(release, content, number=0, size=0, keep=None):
    out = io.BytesIO()
    with zipfile.ZipFile(keep or out, "a" if keep else "w", zipfile.ZIP_DEFLATED) as wheel:
        for each in range(number):
            wheel.writestr(f"shop/large/{each}.txt", "x" * size)
    payload = keep.read_bytes() if keep else out.getvalue()
    old = release.of_kind("wheel")[0]
    new = replace(old, size=len(payload), sha256=hashlib.sha256(payload).hexdigest())
    return replace(release, artifacts=tuple(new if a == old else a for a in release.artifacts)), {**content, new.sha256: payload}


def served(host):
    """Its version and as messages name it."""
    record = json.loads((host.root / "live/generation/record.json").read_text())
    assert host.get()[1]["version"] == record["version"]
    return record["version"], f"{record['version']} (generation {record['number']}) is served", record["number"]


def send(host, release, content):
    """`stage` of what the host had asked for before its disk changed: (exit code, error)."""
    have = {p.name for p in (host.root / "cache").iterdir()}
    wanted = [a for a in release.for_host() if a.sha256 not in have]
    done = host.ask("stage", [content[a.sha256] for a in wanted], release=release.to_json(), base=served(host)[2],
                    files=[{"sha256": a.sha256, "size": a.size} for a in wanted])
    return done["code"], done["last"].get("error")


def faults(host, release):
    return [each["message"] for each in host.ok("observe", release=release.to_json())["faults"]]


def finishes(host, release, content):
    host.deploy(release, content)
    assert served(host)[0] == str(release.version) and host.faults() == []


def test_a_small_disk_is_told_before_anything_is_sent(host):
    release, content = next_release(host)
    host.mounts.leave(host.app, 4)
    before = served(host), host.tree()
    assert faults(host, release) == ["the disk has 4 MB free, 50 MB are needed"]
    code, error = send(host, release, content)
    assert (code, error["message"], error["effect"]) == (3, "the disk has 4 MB free, 50 MB are needed", f"nothing changed; {before[0][1]}")
    assert error["next"] == "make room on the host, or prune old files" and (served(host), host.tree()) == before
    host.mounts.disk(host.app, size=PLENTY)
    finishes(host, release, content)


def test_wheels_that_unpack_to_more_than_there_is_are_told_before_they_are_unpacked(host):
    release, content = next_release(host, number=3, size=10 << 20)
    host.mounts.leave(host.app, 60)
    before = served(host), host.tree()
    assert faults(host, release) == [], "nobody knows it yet"
    code, error = send(host, release, content)
    assert code == 3 and error["message"].endswith(" MB free, 80 MB are needed for what the wheels unpack to"), error
    assert error["effect"] == f"nothing changed; {before[0][1]}" and (served(host), host.tree()) == before
    host.mounts.disk(host.app, size=PLENTY)
    finishes(host, release, content)


def test_a_disk_without_inodes_is_told_with_how_many_are_needed(host):
    release, content = next_release(host, number=600)
    host.mounts.disk(host.app, nr_inodes=host.mounts.used(host.app)[1] + 560)
    before = served(host), host.tree()
    code, error = send(host, release, content)
    assert code == 3 and error["message"].startswith("the disk has 5") and error["message"].endswith(" inodes free, 702 are needed"), error
    assert "df -i" in error["next"] and (served(host), host.tree()) == before
    host.mounts.disk(host.app, nr_inodes=host.mounts.used(host.app)[1] + 5)
    assert faults(host, release) == ["the disk has 5 inodes free, 500 are needed"]
    host.mounts.disk(host.app, nr_inodes=FILES)
    finishes(host, release, content)


def test_a_disk_that_is_full_where_the_journal_lies(host):
    release, content = next_release(host)
    ballast = host.var / "ballast"
    host.mounts.inside("sh", "-c", f"cat /dev/zero 2>/dev/null > {ballast}; true")
    before = served(host), host.tree()
    code, error = send(host, release, content)
    assert code == 6 and "No space left on device" in error["message"] and str(host.var) in error["message"], error
    assert (error["effect"], error["next"]) == (before[0][1], "mend the disk, then run the same command again")
    assert (served(host), host.tree()) == before
    host.mounts.inside("rm", ballast)
    finishes(host, release, content)


def test_etc_that_is_read_only_hinders_no_switch(host):
    release, content = next_release(host)
    before = served(host)[0]
    host.mounts.read_only(host.etc)
    try:
        finishes(host, release, content)
        for words in (["recover", "shop"], ["recover", "--all"]):
            assert host.command(*words)["code"] == 0
        back = host.ok("rollback", to="", base=served(host)[2])
        host.ok("confirm", generation=back["generation"])
        assert served(host)[0] == before
    finally:
        host.mounts.writable(host.etc)


def test_etc_that_is_read_only_is_told_by_what_writes_there(host):
    shown, number = host.mounts.seen(host.etc), served(host)[2]
    ini = host.root / "generations" / str(number) / "settings.ini"  # what /etc/shop.ini shows
    good = ini.read_text()
    ini.write_text(good.replace("red", "hand-made"))
    host.site["processes"] = 2
    host.mounts.read_only(host.etc)
    try:
        for done in (host.command("keep-edit", "shop", "--json"), host.ask("setup")):
            error = done["last"] if "message" in done["last"] else done["last"]["error"]
            assert done["code"] == 6 and "Read-only file system: " in error["message"] and str(host.etc) in error["message"], done
            assert (error["effect"], error["next"]) == (served(host)[1], "mend the disk, then run the same command again")
    finally:
        host.mounts.writable(host.etc)
    assert host.ok("setup")["did"]
    host.site["processes"] = 1
    assert host.ok("setup")["did"] and host.command("keep-edit", "shop")["code"] == 0
    assert ini.read_text() == good and len(list((shown / "shop.d").iterdir())) == 1
    finishes(host, *next_release(host))
    assert "hand-made" in host.get()[1]["settings"]


def test_a_disk_that_somebody_else_fills_while_pip_unpacks(namespace):
    if bench_host.missing():
        pytest.skip(bench_host.missing())
    host = mounts.PrefixMounted(namespace)
    app = host.prefix / "var/app"
    try:
        namespace.disk(app, size=PLENTY)
        host.ok("setup")
        release, content = host.release("1.0")
        release, content = with_wheel(release, content, 1, 20 << 20, keep=host.files / release.of_kind("wheel")[0].name)
        wanted, before = host.ok("observe", release=release.to_json())["missing"], host.tree()
        process = host.start("stage", [content[each] for each in wanted], release=release.to_json(), base=0,
                             files=[{"sha256": each, "size": len(content[each])} for each in wanted])
        with process.stdout, process.stderr:
            for line in process.stdout:
                said = json.loads(line)
                if (said.get("kind"), said.get("state")) == ("release", "start"):
                    namespace.leave(app, 3)
            assert process.wait(60) == 4 and not process.stderr.read()
        error = said["error"]
        assert "No space left on device" in error["message"] and error["next"] == "make room on the host, then run the same command again", error
        assert error["effect"] == "no release is served, the placeholder answers"
        assert (host.get()[0], host.tree()) == (503, before), "nothing of it is left"
        namespace.disk(app, size=PLENTY)
        code, last = host.deploy(release, content)
        assert (code, host.version()) == (0, "1.0"), last
    finally:
        host.close()
