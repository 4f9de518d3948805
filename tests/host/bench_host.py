"""The host under a prefix that weft ships for anybody's servers, as the tests know it."""

from weft.testing.private_host import PYTHON, SOURCE, HostUnderPrefix, free_ports, pip_wheel, wheel

__all__ = ["PYTHON", "SOURCE", "HostUnderPrefix", "free_ports", "missing", "pip_wheel", "wheel"]


def missing():
    """What this machine lacks for a private Apache."""
    from weft.servers.express import system_fits
    return "" if system_fits(PYTHON) else "a private Apache: apt-get install -y apache2 libapache2-mod-wsgi-py3"
