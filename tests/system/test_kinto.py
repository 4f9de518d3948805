"""Kinto from its real sdists, on two hosts over SSH, under load: upgraded and rolled back, with no request failed, no answer mixed from two
releases, and no record lost. 8 switches; `WEFT_SWEEPS=whole`: 20."""

import sys
from pathlib import Path

import pytest

from tests import sweeps
from tests.system import kinto, postgres
from tests.system.hosts import Fleet, missing
from tests.system.voyage import Voyage, finish

LACKS = missing() + postgres.missing()
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(LACKS), reason="this machine lacks " + "; ".join(LACKS))]
SWITCHES = sweeps.size(8, 20)


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    home = tmp_path_factory.mktemp("kinto")
    with Fleet(2) as fleet, postgres.Postgres(fleet) as database:
        made = Voyage(home / "operator", fleet)
        made.project = made.home / "kinto-project"
        made.project.mkdir()
        made.git("init", "-q", "-b", "main")
        for version in (kinto.OLD, kinto.NEW):
            kinto.unpack(version, home, made.project)
            kinto.write_ours(made.project)
            made.environment("/v1/", '"project_version":"{version}"', watch=0.3)
            with (made.project / "deploy/production.toml").open("a") as out:
                out.write(kinto.SETTINGS.format(url=database.url))
            made.commit(f"Kinto {version}")
            made.release(version)
        made.prepare()
        yield made


def versions(voyage):
    return voyage.versions("/v1/", "project_version")


def test_upgrades_and_rollbacks_lose_nothing(voyage):
    voyage.fab("deploy", "--version", kinto.OLD)
    assert versions(voyage) == [kinto.OLD] * 2
    first = voyage.fleet.hosts[0]
    first.run(["/var/app/kinto/current/release/venv/bin/kinto", "migrate", "--ini", "/etc/kinto.ini"])
    loads = [voyage.load(host, "/v1/", "--clients", "4", "--rate", "60", "--version-json", "project_version") for host in voyage.fleet.hosts]
    writers = [voyage.fleet.popen([sys.executable, str(Path(__file__).parent / "writer.py"), f"http://{host.address}/", "app.example.org", "600"],
                                  stdout=-1, text=True) for host in voyage.fleet.hosts[:1]]
    switches = 0
    while switches < SWITCHES:
        voyage.fab("deploy", "--version", kinto.NEW)
        assert versions(voyage) == [kinto.NEW] * 2
        voyage.fab("rollback")
        assert versions(voyage) == [kinto.OLD] * 2
        switches += 4
    reports = [finish(load) for load in loads]
    told = [finish(writer) for writer in writers]
    print(f"\n{switches} switches; requests {[r['sent'] for r in reports]}, p99 {[round(r['p99_ms']) for r in reports]} ms, "
          f"worst {[round(r['worst_ms']) for r in reports]} ms; records written {[t['written'] for t in told]}")
    for report in reports:
        assert report["sent"] > 500 and report["failed"] == 0 and report["mixed"] == 0, report["failures"]
        assert set(report["versions"]) == {kinto.OLD, kinto.NEW}
    for each in told:
        assert each["written"] > 100 and each["refused"] == [] and each["lost"] == []


def test_what_is_on_a_host(voyage):
    """Wheels only, the dependencies once for both releases with their locks, the operator's settings, nothing writable."""
    host = voyage.fleet.hosts[0]
    assert "postgresql+psycopg2" in host.read("/etc/kinto.ini")
    layers = host.run(["ls", "/var/app/kinto/layers"]).stdout.split()
    assert 1 <= len(layers) <= 2
    writable = host.run(["find", "/var/app/kinto", "-not", "-type", "l", "-not", "-user", "root"]).stdout.split()
    assert all(path.startswith(("/var/app/kinto/run/", "/var/app/kinto/shared")) for path in writable)
    assert host.run(["stat", "-c", "%a %U %G", "/var/app/kinto/current/settings.ini"]).stdout.strip() == "640 root kinto"
