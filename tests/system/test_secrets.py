"""Canaries over real SSH: secrets from the operator's environment, a command, a file and a drop-in of the host, through everything that `fab` does."""

import os
import re
import threading
import time
from pathlib import Path

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
VARIABLE, COMMAND, FILE, DROP_IN = "canary-variable-8a41", "canary-command-c07d", "canary-file-91be", "canary-drop-in-35f2"
CANARIES = (VARIABLE, COMMAND, FILE, DROP_IN)
PLACES = ("/etc/shop.secret", "/etc/shop.d/10-mail.ini")
SEALED = (r"/var/app/shop/generations/\d+/settings\.ini", r"/var/lib/weft/shop/settings-\d+\.ini")
SECRETS = """[secrets.database]
password = {env = "SHOP_DB"}
[secrets.queue]
token = {command = ["sh", "-c", "cat ~/.vault"]}
[secrets.payment]
key = {file = "/etc/shop.secret"}
"""
NAMES = ("DATABASE_PASSWORD", "QUEUE_TOKEN", "PAYMENT_KEY", "MAIL_PASSWORD")
LOOKS = f"import os; told = [os.environ.get(f'SHOP_{{name}}') for name in {NAMES}]"


class Watch:
    """Looks at the arguments and the environment of every process of the machine. The operator's environment holds the one variable, by right."""

    def __init__(self):
        self.over, self.seen, self.looked = threading.Event(), set(), set()
        self.own = os.readlink("/proc/self/ns/pid")
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over.wait(0.01):
            for name in filter(str.isdigit, os.listdir("/proc")):
                try:
                    words, environment = Path(f"/proc/{name}/cmdline").read_bytes(), Path(f"/proc/{name}/environ").read_bytes()
                    host = os.readlink(f"/proc/{name}/ns/pid") != self.own
                except OSError:
                    continue
                self.looked.add((host, words.replace(b"\0", b" ")[:500]))
                self.seen |= {(canary, host, words[:80]) for canary in CANARIES if canary.encode() in words
                              or canary.encode() in environment and (host or canary != VARIABLE)}

    def end(self):
        self.over.set()
        self.thread.join(30)


class Told(Shop):
    """Everything that `fab` has said, and with the variable or without it."""

    said: list = []

    def fab(self, *words, code=0, timeout=180):
        output = super().fab(*words, code=code, timeout=timeout)
        self.said.append((words, output))
        return output


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A host that has gone through all of it, and what was seen meanwhile."""
    with Fleet(1) as fleet:
        shop, host = Told(tmp_path_factory.mktemp("secrets") / "operator", fleet), fleet.hosts[0]
        shop.configure(more=SECRETS)
        shop.publish("1.0", top=LOOKS)
        shop.publish("1.1", top=LOOKS + "\nif all(told): raise RuntimeError('no login with ' + ' '.join(told))")
        (shop.home / ".vault").write_text(COMMAND + "\n")
        for path, text in zip(PLACES, (FILE + "\n", f"[mail]\npassword = {DROP_IN}\n")):
            host.run(["install", "-D", "-m", "600", "/dev/stdin", path], input=text)
        watch = Watch()
        try:
            shop.prepare()
            shop.refused = shop.fab("plan", "--version", "1.0", code=3)
            shop.env["SHOP_DB"] = VARIABLE
            host.run(["chmod", "644", "/etc/shop.secret"])
            shop.open = shop.fab("plan", "--version", "1.0", code=3)
            host.run(["chmod", "600", "/etc/shop.secret"])
            shop.plan = shop.fab("plan", "--version", "1.0")
            shop.fab("deploy", "--version", "1.0", "--json")
            shop.again = shop.fab("deploy", "--version", "1.0")
            shop.failed = shop.fab("deploy", "--version", "1.1", code=4)
            shop.fab("deploy", "--version", "1.1", "--json", code=4)
            shop.env["SHOP_DB"] = VARIABLE + "-changed"
            shop.fab("plan", "--version", "1.0", "--json")
            shop.changed = shop.fab("deploy", "--version", "1.0")
            for words in (["status"], ["history"], ["verify"], ["rollback"]):
                shop.fab(*words, "--json")
            yield shop, host, watch
        finally:
            watch.end()


def test_the_application_has_them_all(lived):
    _shop, host, _watch = lived
    text = host.read("/etc/shop.ini")
    assert all(canary in text for canary in CANARIES) and host.run(["stat", "-L", "-c", "%a %U %G", "/etc/shop.ini"]).stdout == "640 root shop\n"


def test_what_is_missing_is_named_before_any_host_and_a_file_that_is_open_with_the_command(lived):
    shop, _host, _watch = lived
    assert "the secret database.password: the variable SHOP_DB is not set" in shop.refused and "nothing was contacted" in shop.refused and "looking at" not in shop.refused
    assert "web1: the secret payment.key: /etc/shop.secret is open to others" in shop.open and "on the host: `sudo chmod 600 /etc/shop.secret`" in shop.open


def test_a_plan_says_where_each_is_from(lived):
    shop, _host, _watch = lived
    for line in ("database.password = *** (from $SHOP_DB)", "queue.token = *** (from `sh -c 'cat ~/.vault'`)", "payment.key = *** (from /etc/shop.secret on the host)"):
        assert line in shop.plan


def test_an_unchanged_secret_is_nothing_to_do_and_a_changed_one_a_new_generation(lived):
    shop, _host, _watch = lived
    assert "nothing to do" in shop.again and re.search(r"web1 +done +1\.0 +1\.0", shop.changed)


def test_a_failing_release_is_told_without_them(lived):
    shop, _host, _watch = lived
    assert "RuntimeError: no login with *** *** *** ***" in shop.failed


def test_nothing_that_was_said_tells_one(lived):
    shop, _host, _watch = lived
    assert len(shop.said) > 12 and [words for words, output in shop.said if any(canary in output for canary in CANARIES)] == []


def test_no_process_has_one_among_its_arguments_or_in_its_environment(lived):
    _shop, _host, watch = lived
    for host, words in ((True, b"weft-host"), (True, b"pip install"), (True, b"apache2"), (False, b"fab")):
        assert any(where == host and words in each for where, each in watch.looked), f"it did not see {words}"
    assert watch.seen == set()


def test_on_the_host_only_what_is_to_hold_them_does(lived):
    shop, host, _watch = lived
    words = [word for canary in CANARIES for word in ("-e", canary)]
    found = host.run(["grep", "-rlIF", *words, "/etc", "/var", "/home", "/root", "/usr/local", "/tmp", "/run", "/srv"], check=False).stdout.split()
    binary = host.run(["grep", "-rlaF", *words, "/var/log", "/var/lib/weft", "/var/app/shop/run"], check=False).stdout.split()
    assert {*PLACES} <= set(found) and any(re.fullmatch(SEALED[0], each) for each in found)
    assert [each for each in {*found, *binary} if each not in PLACES and not any(re.fullmatch(pattern, each) for pattern in SEALED)] == []
    for path in found:
        assert host.run(["stat", "-c", "%a %U", path]).stdout == ("640 root\n" if "generations" in path else "600 root\n"), path


def test_on_the_operators_side_only_the_vault_does(lived):
    shop, _host, _watch = lived
    cache = Path(shop.env["XDG_CACHE_HOME"]) / "weft"
    files = [path for place in (shop.home, cache) for path in place.rglob("*") if path.is_file() and any(canary.encode() in path.read_bytes() for canary in CANARIES)]
    assert files == [shop.home / ".vault"]
