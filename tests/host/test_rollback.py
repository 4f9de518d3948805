"""Back to an earlier release, from each place where a host may still have it, and what of it is kept."""

import os
import shutil

import pytest

pytestmark = pytest.mark.slow


def live(host):
    return host.ok("observe", release=None)["state"]["live"]


def back(host, to="", **words):
    """(from where, generation) of a rollback that is confirmed."""
    seen = host.ok("observe", rollback={"to": to}, **words)
    assert seen["faults"] == [], seen["faults"]
    said = host.ok("rollback", to=to, base=live(host), **words)
    host.ok("confirm", generation=said["generation"])
    return seen["from"], said["generation"]


def test_from_the_warm_slot_from_what_is_installed_and_from_the_cache(host):
    for version in ("1.0", "1.1", "1.2"):
        code, last = host.deploy(*host.release(version, f"[shop]\ncolour = {version}\n"))
        assert code == 0, last
    assert back(host) == ("slot", 2) and host.version() == "1.1"
    assert back(host, "1.0") == ("installed", 1) and host.version() == "1.0"
    shutil.rmtree(next(p for p in (host.root / "releases").iterdir() if p.name.startswith("1.2-")))
    plan = host.ok("observe", rollback={"to": "1.2"})["plan"]
    assert plan["steps"][0]["text"] == "take the files of shop 1.2 from this host's cache"
    assert back(host, "1.2") == ("cache", 3) and host.get()[1]["settings"] == "1.2", "its own generation, with its own settings"


def test_what_was_pruned_comes_from_the_cache_and_what_is_pinned_stays(host):
    for number in range(7):
        code, last = host.deploy(*host.release(f"1.{number}"))
        assert code == 0 and last["result"]["warnings"] == [], last
    there = {p.name.split("-")[0] for p in (host.root / "releases").iterdir()}
    assert there == {"placeholder", "1.2", "1.3", "1.4", "1.5", "1.6"}
    plan = host.ok("observe", rollback={"to": "1.0"})
    assert plan["from"] == "cache" and [s["kind"] for s in plan["plan"]["steps"]][:1] == ["cached"]
    assert back(host, "1.0") == ("cache", 8) and host.version() == "1.0"
    assert back(host) == ("slot", 7) and host.version() == "1.6", "the way back is what was served before"


def test_a_damaged_file_of_the_cache_is_dropped_and_nothing_changes(host):
    releases = [host.release("1.0"), host.release("1.1")]
    for each in releases:
        host.deploy(*each)
    wheel = releases[0][0].of_kind("wheel")[0].sha256
    shutil.rmtree(host.root / "releases" / releases[0][0].id)
    (host.root / "cache" / wheel).write_bytes(b"not the wheel")
    code, last, _ = host.call("rollback", to="1.0", base=2)
    assert code == 4 and "was damaged; it has been dropped" in last["error"]["message"]
    assert host.version() == "1.1" and live(host) == 2
    seen = host.ok("observe", rollback={"to": "1.0"})
    assert seen["from"] == "store" and "fab rollback --to 1.0" in seen["faults"][0]["next"]
    assert host.call("rollback", to="1.0", base=2)[0] == 3


def test_pruning_that_fails_is_a_warning_and_never_takes_what_runs(host):
    host.deploy(*host.release("1.0"))
    stray = host.root / "layers" / "0123456789ab"
    stray.mkdir()
    (stray / "SEAL").write_text("{}")
    manifest = next(p for p in (host.root / "releases").iterdir() if p.name.startswith("1.0-")) / "manifest.json"
    said = manifest.read_text()
    os.chmod(manifest, 0o644)
    manifest.write_text("torn")
    shutil.rmtree(host.prefix / "var/lib/weft/shop/manifests")
    code, last = host.deploy(*host.release("1.1"))
    assert code == 0 and host.version() == "1.1"
    assert any("no layer and no cached file was removed" in each for each in last["result"]["warnings"]) and stray.exists()
    manifest.write_text(said)
    code, last = host.deploy(*host.release("1.2"))
    assert code == 0 and last["result"]["warnings"] == [] and not stray.exists(), "a layer without users goes"
