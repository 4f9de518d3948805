"""What a hook is told, and what is wrong with one, without running any."""

import sys
from types import SimpleNamespace

import pytest

from weft.config import load as config
from weft.errors import UsageError
from weft.rollout import hooks

VALUES = {"app": "shop", "env": "production", "verb": "deploy", "version": "1.1", "previous": "1.0", "result": "", "host": "web1", "address": "10.0.0.1"}


def read(tmp_path, text):
    (tmp_path / "deploy").mkdir(exist_ok=True)
    (tmp_path / "deploy/production.toml").write_text('hosts = ["web1"]\n' + text)
    return hooks.hooks(config.environment(tmp_path), tmp_path, "shop")


def test_every_word_is_filled_in_and_stays_one_word():
    argv = ["./say", "{app}-{env}", "{version} after {previous}", "{host}={address}", "", '{"text": "{{version}} is {version}"}']
    assert hooks.expand(argv, {**VALUES, "previous": "a b;c"}) == [
        "./say", "shop-production", "1.1 after a b;c", "web1=10.0.0.1", "", '{"text": "{version} is 1.1"}']
    assert hooks.expand(["python", "python"], VALUES) == [sys.executable, "python"]


def test_the_environment_says_the_same(monkeypatch):
    monkeypatch.setenv("WEFT_OLD", "of another")
    monkeypatch.setenv("LB_TOKEN", "kept")
    said = hooks.environment("before_switch", VALUES)
    assert {key: said[key] for key in said if key.startswith("WEFT_")} == {"WEFT_HOOK": "before_switch", **{f"WEFT_{k.upper()}": v for k, v in VALUES.items()}}
    assert said["LB_TOKEN"] == "kept"


@pytest.mark.parametrize("text, told", [
    ('[hooks]\nbefore_stage = ["true", "{versoin}"]\n', ":3: hooks.before_stage: {versoin} means nothing here"),
    ('[hooks]\ntimeout = 5\nafter_deploy = [["true"], ["true", "{host}"]]\n', ":4: hooks.after_deploy: {host} means nothing here; a hook of a deploy has no host"),
    ('[hooks.host]\nafter_switch = ["true", "x{hots}"]\n', ":3: hooks.host.after_switch: {hots} means nothing here"),
    ('[hooks.host]\ntimeout = 0\n', ":3: hooks.host.timeout: must be 1 or more"),
    ('[hooks]\nbefore_switch = "drain web1"\n', ":3: hooks.before_switch: expected a command such as"),
    ('[hooks]\nbefore_publish = ["true"]\n', ":3: unknown key 'hooks.before_publish'"),
])
def test_what_makes_no_sense_is_refused_with_file_and_line(tmp_path, text, told):
    with pytest.raises(UsageError) as error:
        read(tmp_path, text)
    assert f"{tmp_path}/deploy/production.toml{told}" in error.value.message


def test_programs_that_cannot_be_started(tmp_path):
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "fine").write_text("#!/bin/sh\n")
    (tmp_path / "fine").chmod(0o755)
    plan = read(tmp_path, '[hooks]\nbefore_stage = [["./fine"], ["sh"], ["python"], ["no-such-program"]]\n'
                          '[hooks.host]\nbefore_switch = ["./plain"]\nafter_switch = ["./{host}"]\n')
    file = tmp_path / "deploy/production.toml"
    assert plan.absent([VALUES, {**VALUES, "host": "web2"}]) == [
        f"{file}:3: hooks.before_stage: there is no program 'no-such-program' on the PATH",
        f"{file}:5: hooks.host.before_switch: {tmp_path}/plain is not executable",
        f"{file}:6: hooks.host.after_switch: {tmp_path}/web1 is not there",
        f"{file}:6: hooks.host.after_switch: {tmp_path}/web2 is not there"]


def run(name, before, target, status=""):
    return SimpleNamespace(host=SimpleNamespace(name=name, target=f"{name}.example.org"), status=status, plan=target and SimpleNamespace(target=target),
                           before={"live": 1, "generations": [{"number": 1, "version": before}]})


def test_values_of_a_host_and_of_all():
    fixed = {"app": "shop", "env": "production"}
    first, second = run("web1", "1.0", "1.1-abc"), run("web2", "0.9", "1.1-abc", "reverted")
    assert hooks.of_host(fixed, first, "deploy") == {**VALUES, "address": "web1.example.org"}
    assert hooks.of_host(fixed, second, "rollback") | {"verb": "deploy"} == {
        **VALUES, "previous": "0.9", "host": "web2", "address": "web2.example.org", "result": "failed"}
    assert hooks.told(fixed, [first, second], "deploy") == {**fixed, "verb": "deploy", "result": "", "version": "1.1", "previous": "1.0,0.9"}
    assert [hooks.result(each) for each in ("", "switched", "failed", "lost", "stuck")] == ["", "switched", "failed", "unknown", "unknown"]
