import socket
from pathlib import Path

import pytest

from weft.develop import server
from weft.errors import Refused
from weft.host.layout import Layout
from weft.servers import express
from weft.servers.express import Httpd


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Where the system's Apache would be; nothing is there."""
    monkeypatch.setattr(express, "SYSTEM", Httpd(tmp_path / "apache2", tmp_path / "modules", tmp_path / "mod_wsgi.so"))
    return tmp_path


def test_what_is_missing_is_named_with_the_command_that_provides_it(machine):
    words = "/usr/bin/python3", "3.11", machine / "venv", machine / "cache"
    with pytest.raises(Refused, match="there is no Apache on this machine") as error:
        server.choose(*words)
    assert error.value.effect == "nothing changed" and error.value.hint.startswith("apt-get install -y apache2 libapache2-mod-wsgi-py3, or: ")
    assert f"{machine}/cache/apache-3.11/bin/pip install mod_wsgi-standalone" in error.value.hint
    (machine / "apache2").touch()
    with pytest.raises(Refused, match="not its module mod_wsgi") as error:
        server.choose(*words)
    assert error.value.hint.startswith("apt-get install -y libapache2-mod-wsgi-py3, or: ")
    (machine / "mod_wsgi.so").write_bytes(b"\0libpython3.9.so\0")
    with pytest.raises(Refused, match=r"is for Python 3.9 as the distribution has it, and the virtualenv's is 3.11"):
        server.choose(*words)
    (machine / "mod_wsgi.so").write_bytes(b"\0libpython3.11.so\0")
    if Path("/usr/bin/python3").resolve().name == "python3.11":
        assert server.choose(*words) == express.SYSTEM


@pytest.mark.parametrize("home", ["venv", "cache/apache-3.11"])
def test_the_standalone_one_is_found_without_root(machine, home):
    packages = machine / home / "lib/python3.11/site-packages"
    (packages / "mod_wsgi/server").mkdir(parents=True)
    (packages / "mod_wsgi/server/mod_wsgi-py311.cpython-311-x86_64-linux-gnu.so").touch()
    (packages / "mod_wsgi_packages/httpd/bin").mkdir(parents=True)
    (packages / "mod_wsgi_packages/httpd/bin/httpd").touch()
    assert server.choose("/usr/bin/python3", "3.11", machine / "venv", machine / "cache").program == packages / "mod_wsgi_packages/httpd/bin/httpd"
    with pytest.raises(Refused):  # it is for another Python
        server.choose("/usr/bin/python3", "3.12", machine / "venv", machine / "cache")


def test_a_port_that_is_taken_is_refused_or_passed_over(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(Refused, match=f"port {taken} cannot be listened on: Address already in use") as error:
            server.port(taken)
        assert "--port" in error.value.hint
        monkeypatch.setattr(server, "FIRST", taken)
        assert taken < server.port()
        monkeypatch.setattr(server, "PORTS", 1)
        free = server.port()
    assert free != taken and server.port(free) == free


def test_a_port_that_only_the_other_loopback_has_is_taken():
    """`localhost` is ::1 for most browsers."""
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on loopback: sysctl net.ipv6.conf.lo.disable_ipv6=0")
    with other, pytest.raises(Refused, match="cannot be listened on"):
        server.port(other.getsockname()[1])


def test_it_listens_on_loopback_alone():
    text = server.conf(Path("/run/x"), Layout("shop", "/run/x"), Httpd(Path("/a"), Path("/m"), Path("/w.so")), "nobody", Path("/a b/venv"), 8000, 5)
    assert [line for line in text.splitlines() if "Listen" in line] == ["Listen 127.0.0.1:8000"]
    assert 'python-home="/a b/venv"' in text and "threads=5" in text
