"""The contract of a server adapter, as tests that anybody's adapter can run: subclass `ServerSuite`, give it the adapter.

    class TestMyServer(ServerSuite):
        golden = Path(__file__).parent / "golden"      # the approved texts, each by the name SERVER-FILE

        @pytest.fixture
        def server(self):
            return weft_myserver.server

Nothing is started here. `weft.testing.server_behaviour` holds the real server to its promises.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from weft import adapters
from weft.servers import SLOTS, Health, Server, Site, entry_file
from weft.servers.tls import Tls

SITE = Site("shop", "", "shop-run", "/usr/bin/python3", "shop.example.org", ("www.example.org",), 8080, (18001, 18002), 3, 7, 45, Health("/health"))
OTHER = {"app": "shop2", "hostname": "b.example.org", "aliases": ("c.example.org",), "port": 9090, "doors": (1234, 1235), "processes": 9, "threads": 9, "longest_request": 99,
         "prefix": "/srv/other"}
"""What concerns every server of a Site, with another value for each."""
NOT_THE_SERVERS = frozenset({"server", "account", "python", "health", "variant", "settings", "secret_files", "migrate", "artifacts", "tls", "watch", "max_errors", "confirm", "keep", "before"})
"""What the engine itself does, or what concerns a server only on a real host, or only where it `serves_tls`."""
MOVES = re.compile(r"/(releases|generations|layers|current)\b")
"""What only a deploy may choose: a server is pointed at slots and at `live`."""
SHOW = """import dataclasses, importlib, json, sys
from weft.servers import Health, Site
said = json.loads(sys.argv[2])
site = Site(**{**said, "aliases": tuple(said["aliases"]), "doors": tuple(said["doors"]), "health": Health(**said["health"])})
server = importlib.import_module(sys.argv[1]).server
print(json.dumps([server.files(site), server.links(site), server.folders(site), server.start(site)]))"""


def named(path: str, app: str) -> bool:
    """Whether a part of a path begins with an application's own name, and not with a longer one."""
    return bool(re.search(rf"/{re.escape(app)}(?![A-Za-z0-9])", path))


class ServerSuite:
    """What every adapter promises the engine."""

    golden: Path | None = None

    @pytest.fixture
    def server(self):
        raise AssertionError("give your adapter as the fixture `server`")

    @pytest.fixture
    def site(self, server) -> Site:
        """Under a prefix, with an account that every machine has; an adapter for real hosts only gives one without."""
        return replace(SITE, server=server.name, prefix="/srv/place", account="nobody")

    def test_it_is_an_adapter_that_is_found_by_its_name(self, server):
        assert isinstance(server, Server)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", server.name) and server.name in {*adapters.known(), *adapters.others()}

    def test_equal_sites_give_equal_texts_in_every_process(self, server, site):
        """Also where Python orders its sets in another way, as on the next host."""
        import dataclasses
        import json
        words = [type(server).__module__, json.dumps(dataclasses.asdict(site))]
        said = {subprocess.run([sys.executable, "-c", SHOW, *words], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                               capture_output=True, text=True, check=True).stdout for seed in "12"}
        assert len(said) == 1 and json.loads(said.pop())[0] == server.files(replace(site))

    @pytest.mark.parametrize("setting", sorted(OTHER))
    def test_every_declared_setting_is_used(self, server, site, setting):
        other = replace(site, **{setting: OTHER[setting], **({"account": "nobody"} if setting == "prefix" else {})})
        same = server.files(other) == server.files(site)
        assert same == (setting in server.unused), f"{server.name} {'does not use' if same else 'says that it does not use'} {setting}"

    def test_every_setting_is_declared_as_the_servers_or_not(self):
        assert {each.name for each in fields(Site)} == {*OTHER, *NOT_THE_SERVERS}, "name the new one in weft.testing.server_suite"

    def test_what_is_written_is_below_the_prefix_and_links_are_relative(self, server, site):
        """So the place can be moved, and a link leads to what is written here and nowhere else."""
        files, links = server.files(site), server.links(site)
        assert all(path.startswith(f"{site.prefix}/") and os.path.normpath(path) == path for path in [*files, *links])
        for link, target in links.items():
            leads = os.path.normpath(os.path.join(os.path.dirname(link), target))
            assert not os.path.isabs(target) and (leads in files or any(leads.startswith(f"{each}/") for each in server.folders(site))), link

    def test_no_text_names_what_a_deploy_chooses(self, server, site):
        """A deploy never writes another text, so it never needs a reload: a release is reached by a slot, a slot by `live`."""
        for path, text in server.files(site).items():
            assert path.endswith("/entry.wsgi") or not MOVES.search(text.replace("/generation/release/", "/")), path

    def test_the_entry_is_wefts_own(self, server, site):
        assert entry_file(site).items() <= server.files(site).items()

    def test_each_slot_has_its_door_on_loopback_that_tells_the_release(self, server, site):
        texts = "\n".join(server.files(site).values())
        assert all(re.search(rf"(127\.0\.0\.1|localhost):{port}\b", texts) for port in site.doors)
        assert "WEFT_SHOW" in texts.replace(entry_file(site)[f"{site.root}/entry.wsgi"], ""), "nobody is told the release, so health can't be asked"

    def test_two_applications_share_what_is_equal_only(self, server, site):
        """Also where the name of one begins that of the other."""
        for name in ("shop2", "shop-admin", "sho"):
            mine, theirs = server.files(site), server.files(replace(site, app=name, doors=(1, 2), port=3, hostname="x.example.org"))
            assert all(mine[path] == theirs[path] for path in mine.keys() & theirs.keys())
            assert all(named(path, name) for path in theirs.keys() - mine.keys()) and all(named(path, site.app) for path in mine.keys() - theirs.keys())

    def test_commands_are_argument_vectors(self, server, site):
        for argv in (server.check(site), server.start(site), server.reload(site), server.stop(site)):
            assert len(argv) >= 2 and all(isinstance(word, str) and word for word in argv)
            assert argv[0] not in ("sh", "bash") or "-c" not in argv

    def test_what_starts_a_slot_anew_is_one_of_the_files_and_of_that_slot_alone(self, server, site):
        """Written with the same text: only its time is new, so what set-up approved stays as it is."""
        a, b = (server.renew(site, slot) for slot in SLOTS)
        assert not set(a) & set(b) and {**a, **b}.items() <= server.files(site).items() and len(a) == len(b)

    def test_where_the_application_may_write_is_below_its_own_directory(self, server, site):
        assert all(path.startswith(f"{site.root}/run/") for path in server.folders(site))

    def test_tls_changes_the_texts_where_the_server_serves_it(self, server, site):
        secure = server.files(replace(site, tls=Tls("/etc/ssl/shop.pem", "/etc/ssl/shop.key")))
        assert (secure != server.files(site)) == server.serves_tls and ("/etc/ssl/shop.key" in "".join(secure.values())) == server.serves_tls

    def test_the_operators_own_file_is_none_of_wefts(self, server, site):
        own = server.own(site)
        assert not own or own not in server.files(site) and named(own, site.app) and own.startswith(f"{site.prefix}/")

    def test_where_to_look_is_told(self, server, site):
        assert server.pidfile(site).startswith("/") and all(server.error_log(site, slot).startswith("/") for slot in SLOTS)
        assert isinstance(server.about(site), str) and re.fullmatch(r"(3\.\d+)?", server.python(site))
        assert all(len(each) == 2 and all(isinstance(text, str) and text for text in each) for each in server.missing(site))

    def test_the_texts_are_as_they_were_read_and_approved(self, server, site):
        """Each file that golden has one for, by the name SERVER-FILE; one at least. WEFT_GOLDEN=write writes them, for you to read."""
        assert self.golden, "give the directory of your golden texts as `golden`"
        approved = {self.golden / f"{server.name}-{os.path.basename(path)}": text for path, text in server.files(site).items() if not path.endswith("/entry.wsgi")}
        if os.environ.get("WEFT_GOLDEN") == "write":
            self.golden.mkdir(exist_ok=True)
            for path, text in approved.items():
                path.write_text(text)
        seen = [path for path in approved if path.exists()]
        assert seen, f"write the texts to {self.golden} with WEFT_GOLDEN=write, and read them"
        for path in seen:
            assert approved[path] == path.read_text(), f"read the difference to {path}; if it is meant, write it there"
