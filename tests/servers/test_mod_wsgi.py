"""Which mod_wsgi the system's Apache loads, as its configuration says: Debian's, PyPI's, none."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.test_contract import SITE
from weft.host import observe
from weft.host.layout import Layout
from weft.host.state import HostState
from weft.servers import express, find, mod_wsgi
from weft.servers.apache import about


@pytest.fixture
def conf(tmp_path):
    for name in ("mods-enabled", "conf-enabled"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_what_apache_loads_first_counts(conf):
    assert mod_wsgi.loaded(conf) is None
    (conf / "conf-enabled/z.conf").write_text('  loadmodule wsgi_module "/opt/mod_wsgi/mod_wsgi-py312.so"\n')
    assert mod_wsgi.loaded(conf) == (Path("/opt/mod_wsgi/mod_wsgi-py312.so"), conf / "conf-enabled/z.conf")
    (conf / "mods-enabled/wsgi.load").write_text("# LoadModule wsgi_module /no.so\nLoadModule wsgi_module modules/mod_wsgi.so\n")
    assert mod_wsgi.loaded(conf) == (conf / "modules/mod_wsgi.so", conf / "mods-enabled/wsgi.load"), "a relative path is below Apache's own directory"


def test_what_pypis_tool_writes_is_understood(conf):
    """mod_wsgi-express module-config, 6.1."""
    (conf / "mods-enabled/wsgi.load").write_text('LoadModule wsgi_module "/opt/mod_wsgi/lib/python3.11/site-packages/mod_wsgi/server/mod_wsgi-py311.cpython-311-x86_64-linux-gnu.so"\n'
                                                 'WSGIPythonHome "/opt/mod_wsgi"\n')
    assert mod_wsgi.loaded(conf)[0].name == "mod_wsgi-py311.cpython-311-x86_64-linux-gnu.so"


def test_modules_and_the_processing_module_are_told_by_debians_links(conf):
    for name in ("mpm_event", "ssl", "wsgi"):
        (conf / f"mods-enabled/{name}.load").write_text("")
    assert mod_wsgi.modules(conf) == ["mpm_event", "ssl", "wsgi"]


def test_versions_are_read_out_of_the_files(tmp_path):
    (tmp_path / "apache2").write_bytes(b"\0Apache/2.4.71 (Debian)\0")
    (tmp_path / "wsgi.so").write_bytes(b"\0libpython3.12.so.1.0\0mod_wsgi/%s\0006.1.0\0003.12.1\0")
    assert about(tmp_path / "apache2", "worker", tmp_path / "wsgi.so") == f"Apache 2.4.71 (mpm_worker), mod_wsgi 6.1.0 for Python 3.12 in {tmp_path}/wsgi.so"
    assert about(tmp_path / "no", "", tmp_path / "no.so") == f"Apache ? (mpm_?), mod_wsgi ? for Python ? in {tmp_path}/no.so"


def test_the_module_of_mod_wsgi_standalone_is_told_from_pypis(tmp_path):
    module = tmp_path / "site-packages/mod_wsgi/server/mod_wsgi-py311.so"
    module.parent.mkdir(parents=True)
    assert not mod_wsgi.alone(module) and not mod_wsgi.alone(Path("/x.so"))
    (tmp_path / "site-packages/mod_wsgi_packages/httpd").mkdir(parents=True)
    assert mod_wsgi.alone(module)


@pytest.mark.parametrize("brings", [True, False])
def test_a_virtualenv_has_an_apache_of_its_own_or_a_module_for_the_systems(monkeypatch, tmp_path, brings):
    packages = tmp_path / "opt/apache/lib/python3.11/site-packages"
    module, httpd = packages / "mod_wsgi/server/mod_wsgi-py311.so", packages / "mod_wsgi_packages/httpd"
    module.parent.mkdir(parents=True)
    module.write_bytes(b"libpython3.11.so.1.0")
    (tmp_path / "apache2").touch()
    system = express.Httpd(tmp_path / "apache2", tmp_path / "modules", tmp_path / "mod_wsgi.so")
    monkeypatch.setattr(express, "SYSTEM", system)
    if brings:
        (httpd / "bin").mkdir(parents=True)
        (httpd / "bin/httpd").touch()
    own = express.Httpd(httpd / "bin/httpd", httpd / "modules", module) if brings else replace(system, mod_wsgi=module)
    chosen = {python: express.choose(replace(SITE, python=python, prefix=str(tmp_path))) for python in ("/nowhere/python3.11", "/nowhere/python3.12")}
    assert chosen == {"/nowhere/python3.11": own, "/nowhere/python3.12": own}, "for another Python it is taken, too, and refused by its own version"
    (tmp_path / "mod_wsgi.so").write_bytes(b"libpython3.12.so.1.0")
    assert express.choose(replace(SITE, python="/usr/bin/python3.12", prefix=str(tmp_path))) == system, "where the system's fits, one for another Python is passed over"


def test_another_python_than_apaches_is_refused_with_the_commands_that_change_it(monkeypatch, tmp_path):
    server, site = find("mod_wsgi"), replace(SITE, python="/usr/bin/python3.12")
    monkeypatch.setattr(server, "missing", lambda site: [])
    monkeypatch.setattr(mod_wsgi, "loaded", lambda: (tmp_path / "wsgi.so", tmp_path / "wsgi.load"))
    (tmp_path / "wsgi.so").write_bytes(b"libpython3.11.so.1.0\0004.9.4\0")
    state = HostState(**{**{name: None for name in HostState.__dataclass_fields__}, "set_up": True, "python": "3.12", "drift": ()})
    fault = next(each for each in observe.host_faults(Layout("shop", ""), site, state) if "loads Python" in each.message)
    assert fault.message.startswith("the server loads Python 3.11, but /usr/bin/python3.12 is 3.12 (Apache ")
    assert fault.message.endswith(f"mod_wsgi 4.9.4 for Python 3.11 in {tmp_path}/wsgi.so)")
    assert fault.next == (
        "set `python` to a 3.11 in deploy/NAME.toml, or: apt-get install -y apache2-dev && /usr/bin/python3.12 -m venv /opt/mod_wsgi && /opt/mod_wsgi/bin/pip install mod_wsgi && "
        "/opt/mod_wsgi/bin/mod_wsgi-express module-config > /etc/apache2/mods-available/wsgi.load && a2enmod wsgi && apache2ctl configtest && apache2ctl stop && apache2ctl start; "
        "every application of this Apache needs that Python then")
