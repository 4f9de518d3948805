"""A host on which somebody else's Apache site already answers for the application's name: it becomes generation 0, goes on answering
until the first deploy, and is what a rollback of that brings back. Its files stay as they are."""

import json

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.voyage import Voyage, finish, wait_for

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]

OLD = '''
import json, os, sys, time, urllib.parse

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/health":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no such page in those days"]
    wish = urllib.parse.parse_qs(environ["QUERY_STRING"])
    time.sleep(float(wish.get("seconds", ["0"])[0]))
    size = len(environ["wsgi.input"].read())
    said = {"version": "legacy", "prefix": sys.prefix, "client": environ["REMOTE_ADDR"], "uri": environ["REQUEST_URI"], "size": size,
            "host": environ["HTTP_HOST"], "port": environ["SERVER_PORT"], "uid": os.getuid(), "variable": environ.get("FROM_APACHE"),
            "forwarded": [k for k in environ if "FORWARDED" in k or "WEFT" in k]}
    body = json.dumps(said).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
'''
SITE = '''\
Define OLD_HOME /srv/old
<VirtualHost *:80>
    ServerName app.example.org
    ServerAlias www.app.example.org
    SetEnv FROM_APACHE yes
    WSGIDaemonProcess legacy user=games group=games processes=2 threads=4 \\
        python-home=${OLD_HOME}/venv home=/
    WSGIProcessGroup legacy
    WSGIScriptAlias / ${OLD_HOME}/app.wsgi
    Alias /static/ ${OLD_HOME}/static/
    <Directory ${OLD_HOME}>
        Require all granted
    </Directory>
</VirtualHost>
'''
NEIGHBOUR = '''\
<VirtualHost *:80>
    ServerName neighbour.example.org
    DocumentRoot /srv/neighbour
    <Directory /srv/neighbour>
        Require all granted
    </Directory>
</VirtualHost>
'''


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    with Fleet(1) as fleet:
        made = Voyage(tmp_path_factory.mktemp("adoption") / "operator", fleet)
        made.hello()
        host = fleet.hosts[0]
        for folder in ("/srv/old/static", "/srv/neighbour"):
            host.run(["mkdir", "-p", folder])
        host.run(["/usr/bin/python3", "-m", "venv", "--without-pip", "/srv/old/venv"], timeout=120)
        for path, text in {"/srv/old/app.wsgi": OLD, "/srv/old/static/a.txt": "static\n", "/srv/neighbour/index.html": "neighbour\n",
                           "/etc/apache2/sites-available/old.conf": SITE, "/etc/apache2/sites-available/neighbour.conf": NEIGHBOUR,
                           "/etc/hello.ini": "[old]\nown = yes\n"}.items():
            host.run(["tee", path], input=text)
        host.run(["a2dissite", "-q", "000-default"], check=False)
        host.run(["a2ensite", "-q", "old", "neighbour"])
        host.run(["apache2ctl", "start"])
        made.fab("trust", "--yes")
        yield made


def ask(voyage, path, *words, name="app.example.org"):
    address = voyage.fleet.hosts[0].address
    return voyage.fleet.run(["curl", "-s", "--path-as-is", "-H", f"Host: {name}", *words, f"http://{address}{path}"]).stdout


def theirs(voyage):
    """All that was there before weft, to the byte."""
    return voyage.fleet.hosts[0].run(["sh", "-c", "sha256sum /srv/old/app.wsgi /srv/old/static/a.txt /etc/hello.ini /etc/apache2/sites-available/"
                                      "{old,neighbour}.conf; ls -l /etc/apache2/sites-enabled/old.conf /etc/hello.ini"], check=False).stdout


def test_the_site_before_weft_answers_until_the_first_deploy_and_comes_back_by_a_rollback(voyage):
    files, plain = theirs(voyage), json.loads(ask(voyage, "/a%2Fb%3Fc/../d?x=%20y"))
    assert plain["version"] == "legacy" and plain["uid"] == 5
    load = voyage.load(voyage.fleet.hosts[0], "/", "--clients", "4", "--rate", "80", "--slow", "/slow?seconds=4:2")
    said = voyage.fab("setup", "--as", "root")
    print("during set-up's own reload:", {k: v for k, v in finish(load).items() if k in ("sent", "failed", "failures")})
    assert "adopted the site in /etc/apache2/sites-enabled/old.conf as generation 0" in said
    assert "www.app.example.org stays with" in said and "/etc/hello.ini belongs to it" in said
    assert "nothing to do" in voyage.fab("setup", "--as", "root")
    adopted = json.loads(ask(voyage, "/a%2Fb%3Fc/../d?x=%20y", "-H", "X-Weft-Client: 1.2.3.4", "-H", "X-Forwarded-For: 5.6.7.8"))
    assert {**adopted, "forwarded": []} == {**plain, "forwarded": []}, "the application sees what it saw before"
    assert adopted["forwarded"] == ["HTTP_X_FORWARDED_FOR"], "the client's own header, and nothing of weft's"
    assert ask(voyage, "/static/a.txt") == "static\n"
    assert '"legacy"' in ask(voyage, "/", "-H", "WEFT_SLOT: hello-a"), "no header chooses who answers"
    assert "X-Weft" not in ask(voyage, "/", "-i")
    assert ask(voyage, "/", name="neighbour.example.org") == ask(voyage, "/", name="unknown.example.org") == "neighbour\n", "the default stays"
    assert "the site before weft (/etc/apache2/sites-enabled/old.conf)" in voyage.fab("status")
    said = voyage.fab("plan", "--version", "0.1.0")
    assert "the site before weft (/etc/apache2/sites-enabled/old.conf) -> 0.1.0" in said

    load = voyage.load(voyage.fleet.hosts[0], "/", "--clients", "4", "--rate", "80", "--slow", "/slow?seconds=4:2", "--post", "/echo:300000")
    voyage.fab("deploy", "--version", "0.1.0")
    assert voyage.versions() == ["0.1.0"] and '"legacy"' not in ask(voyage, "/", "-H", "WEFT_SLOT: hello-before")
    said = voyage.fab("rollback")
    assert "ask the site in /etc/apache2/sites-enabled/old.conf at its door" in said
    assert json.loads(ask(voyage, "/"))["version"] == "legacy"
    assert "the site before weft" in voyage.fab("status")
    voyage.fab("deploy", "--version", "0.2.0")
    report = finish(load)
    assert report["failed"] == 0 and report["sent"] > 300, report["failures"]
    assert voyage.versions() == ["0.2.0"]
    assert theirs(voyage) == files


def test_a_first_deploy_that_nobody_confirms_goes_back_to_it(voyage):
    host = voyage.fleet.hosts[0]
    if '"legacy"' not in ask(voyage, "/"):
        voyage.fab("rollback")
    assert json.loads(ask(voyage, "/"))["version"] == "legacy"
    site = {**json.loads(host.read("/var/lib/weft/hello/site.json")), "confirm": 10}

    def engine(verb, **words):
        request = {"protocol": 1, "verb": verb, "app": "hello", "by": "t@t", "site": site, **words}
        return json.loads(host.run(["weft-host"], input=json.dumps(request) + "\n", check=False).stdout.splitlines()[-1])

    number = engine("observe", release=None)["result"]["state"]["generations"][0]["number"]
    assert engine("activate", generation=number, base=0)["result"]["status"] == "pending"
    assert '"legacy"' not in ask(voyage, "/")
    wait_for(lambda: '"legacy"' in ask(voyage, "/"), 60, "it did not go back by itself")


def test_a_changed_original_is_taken_over_again_by_setup_only(voyage):
    host = voyage.fleet.hosts[0]
    host.run(["tee", "/etc/apache2/sites-available/old.conf"], input=SITE.replace("FROM_APACHE yes", "FROM_APACHE changed"))
    assert "has changed: its copy was renewed" in voyage.fab("setup", "--as", "root")
    assert "nothing to do" in voyage.fab("setup", "--as", "root")


def test_a_neighbours_broken_configuration_hinders_no_switch_and_is_left_to_its_owner(voyage):
    host, path = voyage.fleet.hosts[0], "/etc/apache2/sites-available/neighbour.conf"
    good = host.read(path)
    if "hello" not in host.run(["ls", "/var/app"], check=False).stdout:
        voyage.fab("setup", "--as", "root")
    host.run(["tee", path], input=good.replace("Require all granted", "Require nobody knows what"))
    host.run(["touch", "-d", "2001-01-01", path])

    def seen():
        return host.run(["sh", "-c", f"sha256sum {path}; stat -c '%Y %i' {path}; ls -l --time-style=full-iso /etc/apache2/sites-enabled"]).stdout
    before = seen()
    assert host.run(["apache2ctl", "configtest"], check=False).returncode != 0
    try:
        for words in (["deploy", "--version", "0.1.0"], ["deploy", "--version", "0.2.0"], ["rollback"]):
            voyage.fab(*words)
        assert voyage.versions() == ["0.1.0"]
        host.run(["weft-host", "recover", "--all"])
        assert ask(voyage, "/", name="neighbour.example.org") == "neighbour\n", "its owner's site goes on as it was loaded"
        said = voyage.fab("setup", "--as", "root", code=3)
        assert "Syntax error on line 5 of /etc/apache2/sites-enabled/neighbour.conf: Unknown Authz provider: nobody" in said and "nothing changed" in said
        assert seen() == before and voyage.versions() == ["0.1.0"]
    finally:
        host.run(["tee", path], input=good)
    assert "nothing to do" in voyage.fab("setup", "--as", "root")


def test_taken_off_the_site_before_weft_answers_again_and_setup_and_deploy_bring_it_back(voyage):
    host = voyage.fleet.hosts[0]
    if "hello" not in host.run(["ls", "/var/app"], check=False).stdout:
        voyage.fab("setup", "--as", "root")
    voyage.fab("deploy", "--version", "0.2.0")
    said = voyage.fab("undeploy", "--yes")
    assert "reloaded the server" in said and "/var/app/hello" in said
    wait_for(lambda: '"legacy"' in ask(voyage, "/"), 30, "the site before weft does not answer")
    assert ask(voyage, "/", name="neighbour.example.org") == "neighbour\n"
    left = host.run(["sh", "-c", "ls -d /var/app/hello /etc/apache2/*/*weft* /etc/apache2/*/hello* /etc/cron.d/weft; pgrep -c -f wsgi:hell[o]-"], check=False).stdout
    assert left.split() == ["0"], left
    voyage.fab("setup", "--as", "root")
    voyage.fab("deploy", "--version", "0.1.0")
    assert voyage.versions() == ["0.1.0"]
    assert "'PATH': '/var/app/hello/releases/0.1.0-" in voyage.fab("run", "--command", "python -c 'import os; print({name: os.environ[name] for name in (\"PATH\",)})'")
    assert "access" in voyage.fab("logs")
