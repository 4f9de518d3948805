"""Canaries: a secret in the environment's settings, in a drop-in, a request and a file on the host, and in the operator's own environment, and where none of them may be seen."""

import json
import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.host.bench_host import SOURCE, HostUnderPrefix, missing
from weft.config import ini
from weft.errors import Refused

pytestmark = pytest.mark.slow
SETTING, DROP_IN, OPERATOR = "canary-setting-31f7", "canary-drop-in-9c40", "canary-operator-d2a8"
REQUEST, FILE = "canary-request-07be", "canary-file-5e33"
CANARIES = [each.encode() for each in (SETTING, DROP_IN, OPERATOR, REQUEST, FILE)]
#: What holds the application's settings, for root and the application only.
HOLDERS = ("var/lib/weft/shop/settings-", "var/lib/weft/shop/edited-", "var/lib/weft/shop/site.json", "var/app/shop/site.json", "var/app/shop/generations/", "etc/shop.d/", "etc/shop.secret")


class Watch:
    """Looks at the arguments and the environment of every process of the machine, all the time. Whose environment is the operator's: theirs,
    which is this test's, and that of the engine that they start on a local host."""

    def __init__(self):
        self.over, self.seen, self.looked = threading.Event(), set(), set()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over.is_set():
            time.sleep(0.01)
            for name in filter(str.isdigit, os.listdir("/proc")):
                try:
                    words = Path(f"/proc/{name}/cmdline").read_bytes()
                    found = words, Path(f"/proc/{name}/environ").read_bytes()
                except OSError:
                    continue
                self.looked.add(words.replace(b"\0", b" ")[:200])
                for what, text in zip(("arguments", "environment"), found):
                    for canary in CANARIES:
                        if canary in text and not (what == "environment" and canary == OPERATOR.encode() and operators(words)):
                            self.seen.add((what, canary.decode(), words.replace(b"\0", b" ")[:200]))

    def end(self):
        self.over.set()
        self.thread.join(30)


def operators(words):
    return b"pytest" in words or b"weft.host" in words and b"--watchdog" not in words


class SecretHost(HostUnderPrefix):
    """Its engines are started with the operator's environment; all that they say is kept."""

    def __init__(self):
        super().__init__()
        self.said = []
        self.site["settings"] = {"db": {"password": SETTING}}
        self.site["secret_files"] = {"vault": {"token": "/etc/shop.secret"}}
        self.secrets = {"queue": {"password": REQUEST}}

    def call(self, verb, blobs=(), **more):
        secrets = {"secrets": self.secrets} if more.get("release") and verb in ("observe", "stage") else {}
        answer = super().call(verb, blobs, **secrets, **more)
        self.said.append((verb, json.dumps(answer)))
        return answer

    def command(self, *words):
        done = subprocess.run([*self.argv(), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
        self.said.append((words[0], done.stdout))
        return done.returncode


@pytest.fixture(scope="module")
def lived():
    """A host that has gone through all that it can: the host, and what was seen of the processes meanwhile."""
    if missing():
        pytest.skip(missing())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPLOY_TOKEN", OPERATOR)
        host = SecretHost()
        watch = Watch()
        try:
            host.ok("setup")
            drop_in = host.prefix / "etc/shop.d/10-db.ini"
            drop_in.write_text(f"[mail]\npassword = {DROP_IN}\n")
            (host.prefix / "etc/shop.secret").write_text(FILE)
            assert "is open to others" in json.dumps(host.ok("observe", release=host.release("1.0")[0].to_json())["faults"])
            (host.prefix / "etc/shop.secret").chmod(0o600)
            top = "assert all(os.environ[f'SHOP_{name}'] for name in ('DB_PASSWORD', 'MAIL_PASSWORD', 'QUEUE_PASSWORD', 'VAULT_TOKEN'))"
            for number in ("1.0", "1.1"):
                assert host.deploy(*host.release(number, top=top))[0] == 0
            host.unchanged = host.ok("observe", release=host.release("1.1", top=top)[0].to_json())["plan"]
            with pytest.MonkeyPatch.context() as other:
                other.setattr(host, "secrets", {"queue": {"password": REQUEST + "-changed"}})
                host.changed = host.ok("observe", release=host.release("1.1", top=top)[0].to_json())["plan"]
            telling = "raise RuntimeError('no login with ' + ' '.join(os.environ[f'SHOP_{name}'] for name in ('MAIL_PASSWORD', 'QUEUE_PASSWORD', 'VAULT_TOKEN')))"
            assert host.deploy(*host.release("1.2", top=telling))[0] == 4
            assert "no login with *** *** ***" in host.said[-1][1]
            assert host.call("rollback", to="", base=2)[0] == 0 and host.call("revert", generation=1)[0] == 0
            shown = host.prefix / "etc/shop.ini"
            shown.write_text(shown.read_text().replace("red", "hand-made"))
            host.call("observe", release=None)
            for words in (["status", "shop"], ["keep-edit", "shop"], ["recover", "shop"], ["recover", "--all"], ["history", "shop"], ["verify", "shop"]):
                assert host.command(*words) == 0, host.said[-1]
            assert host.command("status", "shop", "--json") == 0
            torn = host.prefix / "etc/shop.d/20-torn.ini"
            torn.write_text(f"[db]\npassword {DROP_IN}\n")
            assert host.stage(*host.release("1.3"))[0] in (3, 4)
            assert f"{torn} is not a valid ini file: line 2" in host.said[-1][1]
            torn.unlink()
            yield host, watch
        finally:
            watch.end()
            host.close()


def test_the_application_gets_them(lived):
    host, _watch = lived
    text = (host.prefix / "etc/shop.ini").read_text()
    assert all(each in text for each in (SETTING, DROP_IN, REQUEST, FILE)) and host.version() == "1.1"


def test_no_process_has_them_among_its_arguments_or_in_its_environment(lived):
    _host, watch = lived
    assert any(b"pip install" in each for each in watch.looked) and any(b"--watchdog" in each for each in watch.looked), "it did not look"
    assert watch.seen == set()


def test_no_answer_event_error_or_plan_tells_them(lived):
    host, _watch = lived
    assert {name for name, _text in host.said} >= {"observe", "stage", "activate", "confirm", "rollback", "revert", "setup", "keep-edit", "status", "history"}
    for name, text in host.said:
        assert not any(canary.decode() in text for canary in CANARIES), (name, text)


def test_a_secret_that_was_not_changed_is_nothing_to_do_and_a_changed_one_is_a_new_generation(lived):
    host, _watch = lived
    live = json.loads((host.root / "live/generation/record.json").read_text())
    assert live["secrets"] == [["queue", "password"], ["vault", "token"]] and live["settings"].startswith("keyed:")
    assert host.unchanged is None and [step["kind"] for step in host.changed["steps"]][:2] == ["generation", "check"]


def files(host):
    for folder, _dirs, names in os.walk(host.prefix):
        for name in names:
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode) and any(canary in path.read_bytes() for canary in CANARIES):
                yield path


def test_only_what_holds_the_settings_holds_them_and_nobody_else_reads_it(lived):
    host, _watch = lived
    found = {str(path.relative_to(host.prefix)): path for path in files(host)}
    assert any(place.startswith("var/app/shop/generations/") for place in found) and any(place.startswith("var/lib/weft/shop/edited-") for place in found)
    for place, path in found.items():
        assert place.startswith(HOLDERS), f"{place} holds a secret"
        assert OPERATOR.encode() not in path.read_bytes(), place
        ways = [path, *(each for each in path.parents if host.prefix in each.parents)]
        open_to_all = path.stat().st_mode & stat.S_IROTH and all(each.stat().st_mode & stat.S_IXOTH for each in ways[1:])
        assert not open_to_all, f"{place} can be read by everybody"


@pytest.mark.parametrize("text, says", [("[db\npassword = {}\n", "line 1 comes before the first [section]"), ("password = {}\n", "line 1 comes before the first [section]"),
                                        ("[db]\npassword {}\n", "line 2 is not `key = value`"), ("[db]\nkey = {}\nkey = {}\n", "line 3: key is in [db] twice"),
                                        ("[db]\nkey = {}\n[db]\n", "line 3: [db] is there twice")])
def test_settings_that_are_no_ini_are_named_without_what_is_in_them(text, says):
    with pytest.raises(Refused) as caught:
        ini.parse(text.replace("{}", DROP_IN), "/etc/shop.d/20-torn.ini")
    assert caught.value.message == f"/etc/shop.d/20-torn.ini is not a valid ini file: {says}"
