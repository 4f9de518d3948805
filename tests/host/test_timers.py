"""What systemd and cron are given, checked by systemd itself, and that nothing of somebody else's is touched."""

import shutil
import subprocess

import pytest

from weft.host import timers


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The machine's directories for units and cron, elsewhere; `said` is what systemctl was asked."""
    units = tmp_path / "units"
    units.mkdir()
    (tmp_path / "cron.d").mkdir()
    said = []
    monkeypatch.setattr(timers, "TEXTS", {units / path.name: text for path, text in timers.TEXTS.items()})
    monkeypatch.setattr(timers, "UNITS", units)
    monkeypatch.setattr(timers, "CRON", tmp_path / "cron.d/weft")
    monkeypatch.setattr(timers, "_systemctl", lambda *words: said.append(words) or (words[0] == "is-enabled" and ("enable", "--now", words[-1]) in said or
                                                                                      words[0] == "is-enabled" and ("enable", words[-1]) in said))
    real = timers.durable.write
    monkeypatch.setattr(timers.durable, "write", lambda path, text, mode, _owner: real(path, text, mode))
    return units, tmp_path / "cron.d/weft", said


def as_if(monkeypatch, kind):
    monkeypatch.setattr(timers, "kind", lambda: kind)


def test_systemd_gets_its_units_once_and_gives_them_back(machine, monkeypatch):
    units, _cron, said = machine
    as_if(monkeypatch, "systemd")
    assert timers.install() == ["systemd takes this host back at boot and every half minute if a switch is not confirmed"]
    assert sorted(p.name for p in units.iterdir()) == ["weft-boot.service", "weft-recover.service", "weft-recover.timer"]
    assert ("enable", "--now", "weft-recover.timer") in said and ("enable", "weft-boot.service") in said
    assert timers.install() == []
    assert len(timers.remove()) == 3 and list(units.iterdir()) == []
    assert ("disable", "--now", "weft-boot.service") in said


def test_cron_stands_in_and_a_host_without_both_is_told(machine, monkeypatch):
    _units, cron, _said = machine
    as_if(monkeypatch, "cron")
    assert timers.install() == ["cron takes this host back at boot and every minute if a switch is not confirmed"]
    assert "\n@reboot root /usr/local/sbin/weft-host recover --all >/dev/null 2>&1\n* * * * * root " in cron.read_text()
    assert timers.install() == []
    as_if(monkeypatch, "")
    assert timers.install() == [timers.ALONE]


@pytest.mark.parametrize("make", [lambda path: path.write_text("# mine\n"), lambda path: path.symlink_to("/dev/null")])
def test_a_unit_of_somebody_else_is_left_alone(machine, monkeypatch, make):
    units, _cron, said = machine
    as_if(monkeypatch, "systemd")
    make(units / "weft-recover.timer")
    assert "is not weft's and was left alone" in timers.install()[0]
    assert [p.name for p in units.iterdir()] == ["weft-recover.timer"] and said == []
    assert timers.remove() == [] and [p.name for p in units.iterdir()] == ["weft-recover.timer"]


def test_systemd_finds_nothing_wrong_and_orders_the_boot_before_apache(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze: apt-get install -y --no-install-recommends systemd")
    for path, text in timers.TEXTS.items():
        (tmp_path / path.name).write_text(text.replace(timers.ENGINE, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "weft-" in line]) == (0, []), done.stderr
    assert "Before=apache2.service" in timers.TEXTS[timers.UNITS / "weft-boot.service"]
