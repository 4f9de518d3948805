"""Which virtual host answered before weft, and what becomes of its text."""

from dataclasses import replace

from tests.servers.test_contract import SITE
from weft.servers import before, find

TOLD = """\
VirtualHost configuration:
127.0.0.1:80           inner.example.org (/etc/apache2/sites-enabled/inner.conf:3)
*:80                   is a NameVirtualHost
         default server first.example.org (/etc/apache2/sites-enabled/000-first.conf:1)
         port 80 namevhost first.example.org (/etc/apache2/sites-enabled/000-first.conf:1)
         port 80 namevhost shop.example.org (/etc/apache2/sites-enabled/old.conf:4)
                 alias www.shop.example.org
                 wild alias *.shop.example.org
*:8080                 other.example.org (/etc/apache2/sites-enabled/other.conf:1)
                 alias alone.example.org
ServerRoot: "/etc/apache2"
Main DocumentRoot: "/var/www/html"
"""
TEXT = """\
Define X /srv

<VirtualHost *:80 10.0.0.5:80>
  # ServerName not.this
  ServerAdmin a@b
  wsgidaemonprocess old processes=2 \\
     threads=4 \\
     user=old
  WSGIImportScript /srv/x.wsgi process-group=old \\
     application-group=%{GLOBAL}
  WSGIScriptAlias / /srv/x.wsgi
  <Directory /srv>
     Require all granted
  </Directory>
</VirtualHost>
<VirtualHost *:443>
</VirtualHost>
"""


def test_the_virtual_hosts_of_a_port_in_apaches_order():
    found = before.told(TOLD, 80)
    assert [(f.address, f.name, f.line, f.default) for f in found] == [
        ("127.0.0.1", "inner.example.org", 3, True), ("*", "first.example.org", 1, True), ("*", "shop.example.org", 4, False)]
    assert found[2].aliases == ("www.shop.example.org", "*.shop.example.org")
    assert [f.aliases for f in before.told(TOLD, 8080)] == [("alone.example.org",)]
    assert before.told("", 80) == before.told("AH00526: Syntax error on line 1", 80) == []


def test_names_are_compared_as_apache_does():
    shop = before.told(TOLD, 80)[2]
    assert shop.answers_for("SHOP.example.org") and shop.answers_for("a.b.shop.example.org") and not shop.answers_for("xshop.example.org")


def test_a_block_is_read_to_its_end_and_loses_only_its_processes():
    lines = before.block(TEXT, 3)
    assert lines[0] == "<VirtualHost *:80 10.0.0.5:80>" and lines[-1] == "</VirtualHost>" and len(lines) == 10
    assert before.block(TEXT, 1) == before.block(TEXT, 99) == before.block("<VirtualHost *:80>\n", 1) == []
    assert before.addresses(lines, 80) == ("10.0.0.5:80",)
    assert not before.says(lines, "ServerName") and before.says(lines, "wsgiscriptalias")
    text = before.behind_a_door(lines, "shop.example.org", 20001)
    assert text.startswith("Listen 127.0.0.1:20001\n<VirtualHost 127.0.0.1:20001>\n    ServerName shop.example.org\n")
    assert "threads=4" not in text and "ImportScript" not in text and "application-group" not in text
    assert "  WSGIScriptAlias / /srv/x.wsgi\n  <Directory /srv>" in text and text.endswith("</VirtualHost>\n")


def test_the_link_comes_right_before_the_original_or_is_refused():
    enabled = ["000-default.conf", "old-2.conf", "old.conf", "z.conf"]
    name = before.link_before("old.conf", "shop", enabled)
    assert sorted([*enabled, name]).index(name) == 2
    assert before.link_before("old.conf", "shop", [*enabled, "old-~z.conf"]) == ""
    assert before.link_before("000-default.conf", "shop", enabled) < "000-default.conf"


def test_only_an_adopted_site_has_the_third_way():
    server, adopted = find("mod_wsgi"), before.Before("/etc/apache2/sites-enabled/old.conf", 20001, ("10.0.0.5:8080",), "TEXT\n", "old-~weft-shop.conf")
    plain, with_it = server.files(SITE), server.files(replace(SITE, before=adopted))
    assert set(with_it) - set(plain) == {"/etc/apache2/sites-available/shop-before.conf"}
    assert "ProxyPass" not in "".join(plain.values())
    text = with_it["/etc/apache2/sites-available/shop.conf"]
    assert "<VirtualHost *:8080 10.0.0.5:8080>" in text and "ProxyPass / http://127.0.0.1:20001/ nocanon" in text
    assert set(server.links(replace(SITE, before=adopted))) == {
        "/etc/apache2/conf-enabled/weft.conf", "/etc/apache2/sites-enabled/old-~weft-shop.conf",
        "/etc/apache2/sites-enabled/zzz-weft-shop-before.conf"}


def test_a_name_that_begins_like_a_slot_is_not_taken_for_it():
    """file() gives "before": a pattern that tries "b" first would send its users to slot b."""
    assert f"/^({before.RELEASE}|a|b)/" in before.routing("shop", "/var/app/shop", 1, 60)
