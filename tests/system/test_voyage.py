"""The whole way on two hosts over real SSH: set-up, deploy, rollback, and every bad input with what it leaves."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.voyage import Voyage, finish, tool, wait_for

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]

# Fine wherever it is tested and released; not on a server.
ONLY_ON_HOSTS = '\nimport os\nif "WEFT_VERSION" in os.environ and "WEFT_SETTINGS" in os.environ:\n    import not_on_the_server\n'


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    with Fleet(2) as fleet:
        made = Voyage(tmp_path_factory.mktemp("voyage") / "operator", fleet)
        made.hello()
        with (made.project / "src/hello/app.py").open("a") as out:
            out.write(ONLY_ON_HOSTS)
        made.change("src/hello/app.py", "Newer! ", "Newest! ", "Works on my machine.")
        made.release("0.3.0")
        yield made


@pytest.fixture
def served(voyage):
    """Both hosts serve 0.1.0, also for a test that is run by itself."""
    if not voyage.prepared:
        voyage.prepare()
    if voyage.versions() != ["0.1.0"] * 2:
        voyage.fab("deploy", "--version", "0.1.0")
    assert voyage.versions() == ["0.1.0"] * 2
    return voyage


def test_from_a_fresh_host_to_the_first_release(voyage):
    said = voyage.fab("status", code=3)
    assert "fab trust" in said
    voyage.fab("trust", "--yes")
    assert "does not let deploy in" in voyage.fab("deploy", "--version", "0.1.0", code=3)
    did = voyage.fab("setup", "--as", "root")
    voyage.prepared = True
    for what in ("made the account hello, which runs the application", "made the account deploy, which deploys",
                 "wrote the sudo rule /etc/sudoers.d/weft-deploy", "enabled /etc/apache2/sites-enabled/hello.conf", "started the server"):
        assert did.count(what) == 2, what
    assert voyage.fab("setup", "--as", "root").count("nothing to do") == 2
    assert all("No release has been deployed yet" in str(answer) for answer in voyage.versions())
    voyage.fab("deploy", "--version", "0.1.0")
    assert voyage.versions() == ["0.1.0"] * 2
    assert "nothing to do" in voyage.fab("deploy", "--version", "0.1.0")
    assert re.search(r"web2 +0\.1\.0 +0\.1\.0 +good", voyage.fab("status"))


def test_switches_under_load_lose_nothing(served):
    loads = [served.load(host, "/health", "--clients", "4", "--rate", "100", "--slow", "/slow?seconds=8:2", "--post", "/echo:50000",
                         "--version-json", "version") for host in served.fleet.hosts]
    served.fab("deploy", "--version", "0.2.0")
    assert served.versions() == ["0.2.0"] * 2
    served.fab("rollback")
    assert served.versions() == ["0.1.0"] * 2
    for report in map(finish, loads):
        assert report["failed"] == 0 and report["mixed"] == 0 and report["sent"] > 200, report["failures"]
        assert set(report["versions"]) >= {"0.1.0", "0.2.0"}


def test_limit_touches_only_what_it_names(served):
    served.fab("deploy", "--version", "0.2.0", "--limit", "web2")
    assert served.versions() == ["0.1.0", "0.2.0"]
    assert "web1" not in served.fab("rollback", "--limit", "web2")
    assert served.versions() == ["0.1.0"] * 2


def test_plan_changes_nothing(served):
    before = served.fleet.hosts[0].run(["find", "/var/app/hello", "/var/lib/weft", "-newermt", "-1 second"], check=False).stdout
    said = served.fab("plan", "--version", "0.2.0")
    assert "point of no return" in said and served.versions() == ["0.1.0"] * 2, before
    assert "0.2.0" not in served.fleet.hosts[0].run(["ls", "/var/app/hello/generations", "/var/app/hello/cache"]).stdout


def test_rollback_to_a_version_and_to_one_that_was_never_there(served):
    served.fab("deploy", "--version", "0.2.0")
    served.fab("rollback", "--to", "0.1.0")
    assert served.versions() == ["0.1.0"] * 2
    assert "no good generation of 7.7" in served.fab("rollback", "--to", "7.7", code=3)


@pytest.mark.parametrize("version", ["../x", "-rf", "1.0;id", "--help", "1.0 ", "", "v1", "1" * 100])
def test_words_that_are_no_version_contact_nobody(served, version):
    said = served.fab("deploy", f"--version={version}", code=2)
    assert len(said.strip().splitlines()) <= 4 and "nothing was contacted" in said


@pytest.mark.parametrize("words, code, says", [
    (["deploy", "--version", "9.9"], 3, "hello 9.9 is not in"), (["deploy", "--version", "0.2.0", "--limit", "web9"], 2, "web9"),
    (["deploy", "--version", "0.2.0", "--env", "prodction"], 2, "did you mean 'production'"), (["rollback", "--to", "-x"], 2, "is not a version"),
    (["deploy"], 2, "version"),
])
def test_unknown_words_are_named(served, words, code, says):
    assert says in served.fab(*words, code=code)
    assert served.versions() == ["0.1.0"] * 2


def test_a_typo_in_the_environment_is_named_by_file_and_line(served):
    path = served.project / "deploy/production.toml"
    good = path.read_text()
    path.write_text(good.replace("contains =", "contans ="))
    try:
        said = served.fab("deploy", "--version", "0.2.0", code=2)
        line = good.splitlines().index(next(each for each in good.splitlines() if each.startswith("contains"))) + 1
        assert f"deploy/production.toml:{line}: unknown key 'health.contans'; did you mean 'health.contains'?" in said
    finally:
        path.write_text(good)


def test_a_host_out_of_reach_stops_the_deploy_before_anything(served):
    host = served.fleet.hosts[1]
    host.cut()
    try:
        said = served.fab("deploy", "--version", "0.2.0", code=3)
        assert "web2" in said and "nothing changed" in said
        assert served.get(served.fleet.hosts[0])["version"] == "0.1.0"
    finally:
        host.join()
    assert served.versions() == ["0.1.0"] * 2


def test_a_changed_host_key_is_refused(served):
    path = served.project / "deploy/known_hosts"
    good = path.read_text()
    lines = good.splitlines()
    mine = [n for n, line in enumerate(lines) if served.fleet.hosts[1].address in line or "web2" in line]
    other = next(line.split()[1:3] for line in lines if not (served.fleet.hosts[1].address in line or "web2" in line) and line.strip()
                 and not line.startswith("#"))
    for n in mine:
        lines[n] = " ".join([lines[n].split()[0], *other])
    path.write_text("\n".join(lines) + "\n")
    try:
        said = served.fab("deploy", "--version", "0.2.0", code=3)
        assert "web2: THE HOST KEY OF 10.98.0.12 HAS CHANGED" in said and "nothing changed" in said
    finally:
        path.write_text(good)


def test_a_missing_sudo_rule_is_named_with_its_mend(served):
    host = served.fleet.hosts[0]
    host.run(["mv", "/etc/sudoers.d/weft-deploy", "/root/rule"])
    try:
        said = served.fab("deploy", "--version", "0.2.0", code=3)
        assert "web1" in said and "sudo" in said and "fab setup" in said
    finally:
        host.run(["mv", "/root/rule", "/etc/sudoers.d/weft-deploy"])


def test_apache_that_does_not_run_or_is_not_there(served):
    host = served.fleet.hosts[0]
    host.run(["apache2ctl", "stop"])
    wait_for(lambda: not host.run(["pgrep", "apache2"], check=False).stdout, 20, "Apache did not stop")
    try:
        said = served.fab("deploy", "--version", "0.2.0", code=3)
        assert "the server does not run" in said and "nothing (0.1.0 is live, but the site does not answer) on web1" in said
        host.run(["mv", "/usr/sbin/apache2ctl", "/root/apache2ctl"])
        said = served.fab("deploy", "--version", "0.2.0", code=3)
        assert "Apache is not installed" in said and "apt-get install -y apache2 libapache2-mod-wsgi-py3" in said
        host.run(["mv", "/root/apache2ctl", "/usr/sbin/apache2ctl"])
    finally:
        host.run(["apache2ctl", "start"])
    wait_for(lambda: served.versions() == ["0.1.0"] * 2, 20, "web1 did not come back")


def test_a_full_disk_is_seen_before_anything_is_sent(served):
    host = served.fleet.hosts[0]
    free = int(host.run(["df", "--output=avail", "-k", "/var/app"]).stdout.split()[-1])
    host.run(["fallocate", "-l", str((free - 20000) * 1024), "/var/app/ballast"])
    try:
        said = served.fab("deploy", "--version", "0.2.0", code=3)
        assert "MB free" in said and "web1" in said and "nothing changed" in said
    finally:
        host.run(["rm", "/var/app/ballast"])


def test_a_file_in_the_store_that_differs_from_its_manifest(served):
    place = served.project / "artifacts/hello/0.2.0"
    for pattern in ("*.tar.gz", "*.whl"):
        path = next(place.glob(pattern))
        good = path.read_bytes()
        os.chmod(path, 0o644)
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        try:
            said = served.fab("deploy", "--version", "0.2.0", code=3)
            assert path.name in said and "nothing changed" in said
        finally:
            path.write_bytes(good)
    assert served.versions() == ["0.1.0"] * 2


def test_a_release_that_cannot_import_on_the_hosts(served):
    loads = [served.load(host, "/health", "--clients", "2", "--rate", "50", "--version-json", "version") for host in served.fleet.hosts]
    said = served.fab("deploy", "--version", "0.3.0", code=4)
    assert "ModuleNotFoundError: No module named 'not_on_the_server'" in said and "0.1.0" in said
    for report in map(finish, loads):
        assert report["failed"] == 0 and list(report["versions"]) == ["0.1.0"]


def test_the_deploying_account_is_not_root(served):
    """Its one sudo rule runs the engine, which takes orders on standard input and refuses what only set-up may."""
    host = served.fleet.hosts[0]

    def as_deploy(*words, text=""):
        return host.run(["su", "deploy", "-s", "/bin/sh", "-c", " ".join(words)], input=text, check=False)

    assert as_deploy("sudo -n id").returncode != 0
    assert as_deploy("sudo -n /usr/local/sbin/weft-host --prefix /tmp/x").returncode != 0
    site = json.loads(host.read("/var/lib/weft/hello/site.json"))
    request = {"protocol": 1, "verb": "setup", "app": "hello", "by": "x", "site": site, "deploy_user": "root",
               "authorized_key": "ssh-ed25519 AAAA evil"}
    done = as_deploy("sudo -n /usr/local/sbin/weft-host", text=json.dumps(request) + "\n")
    assert json.loads(done.stdout)["error"]["message"] == "setup is not done through the installed engine"
    as_deploy("printf '#!/bin/sh\\nid > /tmp/owned\\n' > /tmp/evil; chmod +x /tmp/evil")
    for app in ("hello", "other"):
        wish = {**site, "python": "/tmp/evil"}
        done = as_deploy("sudo -n /usr/local/sbin/weft-host", text=json.dumps(
            {"protocol": 1, "verb": "observe", "app": app, "by": "x", "release": None, "site": wish}) + "\n")
        assert "result" in json.loads(done.stdout.splitlines()[-1])
    assert host.run(["test", "-e", "/tmp/owned"], check=False).returncode != 0, "the deploying account chose what root runs"


def test_verify_names_the_file_that_somebody_changed(served):
    assert served.fab("verify").count("as they were installed") == 2
    host = served.fleet.hosts[0]
    path = host.run(["find", "/var/app/hello/current/release/", "-name", "app.py"]).stdout.split()[0]
    good = host.read(path)
    host.run(["tee", "-a", path], input="# at night\n")
    try:
        said = served.fab("verify", code=3)
        assert "changed venv/lib/python3.11/site-packages/hello/app.py" in said and re.search(r"web2: (\d+) of \1 parts", said)
    finally:
        host.run(["tee", path], input=good)
    served.fab("verify")


def test_two_operators_at_once_leave_one_release(served):
    argv = [tool("fab"), "deploy", "--version", "0.2.0"]
    both = [served.fleet.popen(argv, cwd=served.project, env=served.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)]
    said = [each.communicate(timeout=120)[0] for each in both]
    assert sorted(each.returncode for each in both) == [0, 3], said
    refused = next(out for out, each in zip(said, both) if each.returncode == 3)
    assert "tester@" in refused and "(deploy 0.2.0)" in refused, refused
    assert served.versions() == ["0.2.0"] * 2, said
    served.fab("rollback")  # at once: the winner's lock has ended with it


def test_a_freeze_stands_until_it_is_ended(served):
    served.fab("lock", "--why", "database moves")
    said = served.fab("deploy", "--version", "0.2.0", code=3)
    assert re.search(r"web1, web2: frozen by tester@\S+ since \S+ \S+ UTC: database moves", said) and "fab unlock" in said
    assert "database moves" in served.fleet.hosts[0].run(["weft-host", "status", "hello"]).stdout
    assert "web1, web2: free" in served.fab("unlock") and served.versions() == ["0.1.0"] * 2


def test_a_host_that_was_switched_off_serves_the_same_release(served):
    host = served.fleet.hosts[1]
    host.kill()
    host.start([["mkdir", "-p", "/run/apache2"], ["apache2ctl", "start"]])
    wait_for(lambda: served.versions() == ["0.1.0"] * 2, 20, "web2 did not come back with its release")


def test_history_says_who_and_when(served):
    said = served.fab("history")
    assert "0.1.0" in said and "tester@" in said


def test_the_json_answer_is_one_object(served):
    done = served.fleet.run([tool("fab"), "status", "--json"], cwd=served.project, env=served.env)
    said = json.loads(done.stdout)
    assert said["code"] == 0 and "0.1.0" in done.stdout


def test_interrupt_leaves_what_is_served_and_says_it(served):
    process = served.fleet.popen([sys.executable, "-u", tool("fab"), "deploy", "--version", "0.2.0"], cwd=served.project, env=served.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "staging" in line:
            os.killpg(process.pid, 2)
            break
    rest = process.communicate(timeout=90)[0]
    assert process.returncode == 130, "".join(lines) + rest
    assert len(set(served.versions())) == 1 and served.versions()[0] in rest, rest
    time.sleep(0.5)
    served.fab("deploy", "--version", "0.2.0")
    assert served.versions() == ["0.2.0"] * 2
