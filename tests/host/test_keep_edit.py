"""The command that the refusal names: it keeps the edit, whatever generation is live, and the next deploy goes on."""

import json
import os
import subprocess

import pytest

from tests.host.bench_host import SOURCE

pytestmark = pytest.mark.slow


def keep_edit(host):
    done = subprocess.run([*host.argv(), "keep-edit", "shop", "--json"], capture_output=True, env={**os.environ, "PYTHONPATH": str(SOURCE)}, timeout=120)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_a_file_that_was_there_before_the_first_deploy_is_kept_whole_and_applied(host):
    shown = host.prefix / "etc/shop.ini"
    shown.unlink()
    shown.write_text("[shop]\ncolour = from before\n[other]\nmany =\n    one\n    two\n")
    assert "was replaced by hand" in host.ok("observe", release=host.release("1.0")[0].to_json())["faults"][0]["message"]
    did = keep_edit(host)["did"]
    aside = next((host.prefix / "var/lib/weft/shop").glob("edited-*.ini"))
    assert "from before" in aside.read_text() and aside.stat().st_mode & 0o777 == 0o600 and str(aside) in did[1]
    code, last = host.deploy(*host.release("1.0"))
    assert (code, host.get()[1]["settings"]) == (0, "from before"), last
    assert "one" in shown.read_text() and "two" in shown.read_text()


def test_a_settings_file_that_was_removed_comes_back(host):
    host.deploy(*host.release("1.0"))
    (host.root / "generations/1/settings.ini").unlink()
    assert "was edited by hand" in host.ok("observe", release=host.release("1.1")[0].to_json())["faults"][0]["message"]
    keep_edit(host)
    assert "colour = red" in (host.prefix / "etc/shop.ini").read_text()
    code, last = host.deploy(*host.release("1.1"))
    assert (code, host.get()[1]["settings"]) == (0, "red"), last
