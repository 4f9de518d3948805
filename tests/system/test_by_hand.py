"""An operator on a real host, by the words of weft-host: no SSH, a real Apache, and sudo that lets nobody else in."""

import json
import shutil

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.voyage import Voyage, crossed
from weft.host.words import COMMANDS

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
STORE = "/srv/artifacts"


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    with Fleet(1, shared={STORE: store}) as fleet:
        made = Voyage(tmp_path_factory.mktemp("voyage") / "operator", fleet)
        made.hello()
        shutil.copytree(made.project / "artifacts", store, dirs_exist_ok=True)
        config = made.project / "pyproject.toml"
        old = next(line for line in config.read_text().splitlines() if line.startswith("artifacts = "))
        config.write_text(config.read_text().replace(old, f'artifacts = "{store}"'))
        made.commit("The store that the host can see")
        made.prepare()
        host = fleet.hosts[0]
        host.run(["useradd", "--create-home", "--shell", "/bin/sh", "anna"])
        host.run(["tee", "/etc/sudoers.d/anna"], input="anna ALL=(ALL) NOPASSWD: ALL\n")
        yield made


def anna(voyage, *words, code=0, answer=None):
    """What she reads. answer: typed at a terminal."""
    line = " ".join(["sudo", "weft-host", *words])
    argv = ["su", "anna", "-c", line if answer is None else f"script -qec '{line}' /dev/null"]
    done = voyage.fleet.hosts[0].run(argv, input=answer, check=False)
    said = done.stdout.replace("\r", "") + done.stderr
    print(f"$ {line}\n{said}")
    assert done.returncode == code and "a bug in weft" not in said, said
    return said


def test_install_switch_and_back_without_ssh(voyage):
    place = f"{STORE}/hello/0.1.0"
    assert "0.1.0 is installed as generation 1" in anna(voyage, "install", "hello", place)
    assert "No release has been deployed yet" in str(voyage.versions()), "nothing is switched yet"
    assert "0.1.0 is served (generation 1, switched to in " in anna(voyage, "activate", "hello", "--yes")
    assert voyage.versions() == ["0.1.0"]
    anna(voyage, "install", "hello", STORE, "--version", "0.2.0")
    assert "0.2.0 was not kept" in anna(voyage, "activate", "hello", "0.2.0", answer="n\n", code=4)
    assert voyage.versions() == ["0.1.0"]
    anna(voyage, "install", "hello", STORE, "--version", "0.2.0")
    said = anna(voyage, "activate", "hello", "0.2.0", answer="y\n")
    assert "0.2.0 is served, on trial; without an answer it goes back in " in said and voyage.versions() == ["0.2.0"]
    said = anna(voyage, "rollback", "hello", code=6)
    assert "keep it: weft-host confirm hello" in said and voyage.versions() == ["0.1.0"]
    anna(voyage, "confirm", "hello")
    anna(voyage, "pin", "hello", "0.2.0")
    assert "pinned          0.2.0 (by anna@web1, " in anna(voyage, "status", "hello")
    assert "web1: pinned: 0.2.0 (by anna@web1, " in voyage.fab("status")
    assert "confirm   0.1.0" in (said := anna(voyage, "history", "hello")) and said.count("anna@web1") == 9
    assert "nothing to do" in voyage.fab("deploy", "--version", "0.1.0"), "fab finds what was done without it"


def test_verify_names_what_somebody_has_changed(voyage):
    host = voyage.fleet.hosts[0]
    if voyage.versions() != ["0.1.0"]:
        voyage.fab("deploy", "--version", "0.1.0")
    said = anna(voyage, "verify", "hello")
    assert "parts are as they were installed" in said and "  " not in said.strip()
    number = json.loads(anna(voyage, "status", "hello", "--json"))["state"]["live"]
    host.run(["chown", "hello", "/var/app/hello/entry.wsgi"])
    host.run(["chmod", "a+r", f"/var/app/hello/generations/{number}/settings.ini"])
    host.run(["tee", "-a", "/usr/local/sbin/weft-host"], input="\n")
    try:
        said = anna(voyage, "verify", "hello", code=3)
        assert "  site: owner hello (was root) /var/app/hello/entry.wsgi" in said and "  engine: changed /usr/local/sbin/weft-host" in said
        assert f"  generations/{number}: mode 644 (was 640) settings.ini" in said
        assert "site: owner hello (was root) /var/app/hello/entry.wsgi" in voyage.fab("verify", code=3)
    finally:
        host.run(["chown", "root", "/var/app/hello/entry.wsgi"])
        host.run(["chmod", "640", f"/var/app/hello/generations/{number}/settings.ini"])
        host.run(["truncate", "-s", "-1", "/usr/local/sbin/weft-host"])
    anna(voyage, "verify", "hello")


def test_the_account_that_deploys_gets_no_words(voyage):
    """Its rule lets it run the program without arguments, and without sudo it reads nothing."""
    host = voyage.fleet.hosts[0]
    lines = [each.example.replace("shop", "hello").replace("weft-host", "/usr/local/sbin/weft-host", 1) for each in COMMANDS]
    for sudo, told, code in (("sudo -n ", "sudo: a password is required", 1), ("", "or you may not read /var/lib/weft/hello", 3)):
        mine = [line for line in lines if sudo or "--all" not in line]
        done = host.run(["su", "deploy", "-c", "; ".join(f"{sudo}{line}; echo $?" for line in mine)], check=False)
        assert done.stdout.split() == [str(code)] * len(mine) and done.stderr.count(told) == len(mine) >= 10, done.stdout + done.stderr
    assert "\ndeploy ALL=(root) NOPASSWD: /usr/local/sbin/weft-host \"\"\n" in host.read("/etc/sudoers.d/weft-deploy")


def test_fab_has_the_host_take_a_release_from_the_store_that_it_reads_itself(voyage):
    """All of it: what crosses the cable is less than pip's wheel alone, which is among what the host lacks."""
    voyage.fab("undeploy", "--purge", "--yes")
    config = voyage.project / "deploy/production.toml"
    config.write_text(f'host_artifacts = "{STORE}"\n' + config.read_text())
    voyage.fab("setup", "--as", "root")
    before = crossed(voyage.fleet)
    assert "confirmed" in voyage.fab("deploy", "--version", "0.1.0") and voyage.versions() == ["0.1.0"]
    sent, pip = crossed(voyage.fleet) - before, max(each.stat().st_size for each in (voyage.project / "artifacts").rglob("*.whl"))
    assert sent < 300_000 < 1_000_000 < pip, (sent, pip)
    config.write_text(config.read_text().replace(STORE, "/etc"))
    said = voyage.fab("deploy", "--version", "0.2.0", code=3)
    assert "the environment is not what this host was set up with: artifacts" in said, "what root reads is not for a deploy to say"
