import pytest

from weft.config.load import environment
from weft.errors import UsageError
from weft.rollout.site import site


@pytest.fixture
def env(tmp_path):
    def env(text):
        (tmp_path / "deploy").mkdir(exist_ok=True)
        (tmp_path / "deploy" / "eu-west.toml").write_text('hosts = ["web1"]\n' + text)
        return environment(tmp_path)
    return env


def test_defaults_come_from_the_application_and_the_environment(env):
    assert site(env(""), "shop") == {
        "server": "mod_wsgi", "account": "shop", "python": "/usr/bin/python3", "hostname": "shop", "aliases": [],
        "port": 80, "doors": [], "processes": 2, "threads": 8, "longest_request": 60,
        "health": {"path": "/", "contains": "", "good": 3, "timeout": 30}, "variant": "EU_WEST", "settings": {},
        "watch": 2.0, "max_errors": 1.0, "confirm": 60, "keep": 5}


def test_tls_is_said_where_there_is_a_certificate(env):
    said = site(env('[tls]\ncertificate = "/etc/shop.pem"\nkey = "/etc/shop.key"\nhttp2 = false\n'), "shop")["tls"]
    assert said == {"certificate": "/etc/shop.pem", "key": "/etc/shop.key", "port": 443, "http2": False, "redirect": True}


def test_a_minor_version_is_the_distributions_python(env):
    assert [site(env(f'python = "{said}"\n'), "shop")["python"] for said in ("3.11", "/opt/py/bin/python")] == ["/usr/bin/python3.11", "/opt/py/bin/python"]


def test_settings_become_texts(env):
    said = site(env('[settings."app:main"]\ndebug = false\nsize = 3\nratio = 0.5\nhosts = ["a", "b"]\nname = "x"\n'), "shop")
    assert said["settings"] == {"app:main": {"debug": "false", "size": "3", "ratio": "0.5", "hosts": "a\nb", "name": "x"}}


@pytest.mark.parametrize("text, said", [
    ("[settings]\nx = 1\n", "settings: 'x' stands outside of a section"),
    ("[settings.s]\nx = {a = 1}\n", "settings: s.x is a dict, which an ini cannot hold"),
    ('[health]\npath = "health"\n', "health.path: 'health' does not start with '/'"),
    ('[site]\ndoors = [1]\n', "site.doors: expected two port numbers, got [1]"),
    ('[site]\nport = 0\n', "site.port: 0 is not a port"),
    ('[site]\nport = 70000\n', "site.port: 70000 is not a port"),
    ('[site]\nhostname = "a b"\n', "site.hostname: 'a b' is not a host name"),
    ('[site]\naliases = ["x\\nServerName y"]\n', "site.aliases: 'x\\nServerName y' is not a host name"),
    ('account = "Root!"\n', "account: 'Root!' is not an account name"),
    ('python = "python3"\n', "python: 'python3' is not an absolute path"),
    ('[tls]\ncertificate = "/etc/shop.pem"\n', "tls.certificate: tls.key is not set beside it"),
    ('[tls]\nkey = "/etc/shop.key"\n', "tls.key: tls.certificate is not set beside it"),
    ('[tls]\ncertificate = "shop.pem"\nkey = "/etc/shop.key"\n', "tls.certificate: 'shop.pem' is not the whole path of a file on the hosts"),
    ('[tls]\ncertificate = "/etc/../shop.pem"\nkey = "/etc/shop.key"\n', "tls.certificate: '/etc/../shop.pem' is not the whole path of a file on the hosts"),
    ('[tls]\ncertificate = "/etc/shop.pem"\nkey = "/etc/shop.key"\nport = 80\n', "tls.port: 80 is not a port of its own"),
    ('[workers]\nprocesses = 0\n', "workers.processes: must be 1 or more"),
])
def test_values_without_sense_are_refused_with_their_line(env, text, said):
    with pytest.raises(UsageError) as raised:
        site(env(text), "shop")
    file, line, rest = raised.value.message.split(":", 2)
    assert file.endswith("deploy/eu-west.toml") and int(line) >= 1
    assert rest.strip() == said


def test_a_host_has_its_own_above_the_environments(tmp_path):
    from weft.rollout import environment
    (tmp_path / "deploy").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.weft]\nname = "shop"\ncallable = "shop:application"\nartifacts = "store"\n')
    text = ('hosts = ["web1"]\npython = "3.11"\n[workers]\nprocesses = 2\nthreads = 8\n[settings.shop]\ncolour = "red"\nsize = 1\n[settings.db]\nname = "x"\n'
            '[[host]]\nname = "web2"\npython = "3.12"\n[host.workers]\nprocesses = 9\n[host.site]\nport = 8080\n[host.settings.shop]\ncolour = "blue"\n'
            '[[host]]\nname = "web3"\n')
    (tmp_path / "deploy/live.toml").write_text(text)
    env = environment.load(tmp_path)
    one, two, three = (env.request_of(host)["site"] for host in env.hosts)
    assert one == three == env.site and list(env.sites) == ["web2"]
    assert (two["processes"], two["threads"], two["port"], two["python"]) == (9, 8, 8080, "/usr/bin/python3.12")
    assert two["settings"] == {"shop": {"colour": "blue", "size": "1"}, "db": {"name": "x"}} and one["settings"]["shop"]["colour"] == "red"
    assert [env.access.python_of(host) for host in env.hosts] == ["/usr/bin/python3.11", "/usr/bin/python3.12", "/usr/bin/python3.11"]
    job = env.job("status")
    assert [job.request_of(name)["site"]["processes"] for name in env.hosts.names] == [2, 9, 2]
    for wrong, says in (("port = 8080", "live.toml:11: site.port"), ('python = "3.12"', "live.toml:11: python")):
        (tmp_path / "deploy/live.toml").write_text(text.replace(wrong, {"port = 8080": "port = 99999"}.get(wrong, 'python = "python3"')))
        with pytest.raises(UsageError, match=says):
            environment.load(tmp_path)
    (tmp_path / "deploy/live.toml").write_text(text.replace("port = 8080", "prot = 8080"))
    with pytest.raises(UsageError, match="unknown key 'site.prot'; did you mean 'site.port'"):
        environment.load(tmp_path)
