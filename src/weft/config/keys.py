"""Every key of weft's TOML, once: name, type, default, meaning. The reference page is generated from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from weft import adapters
from weft.record import record


@record(frozen=True)
class Key:
    """kind: str, int, float, bool, list (of strings), texts (one string, or several), vectors (a list of strings, or several), waves (ints and percents), table (free), tables (of hosts)."""

    name: str
    kind: str
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    more: Callable[[], Iterable[str]] = tuple
    """Choices that other packages add: asked for only where none of weft's own fits."""


PHASES = ("test", "build", "verify", "push", "publish")
"""The steps of a release that [tool.weft.hooks] can stand around."""

PROJECT = (
    Key("name", "str", "", "The application's name: directory, account and file names on the hosts come from it. "
        "Default: [project] name."),
    Key("callable", "str", "", "The WSGI callable, as package.module:attribute. Either this or `entry`."),
    Key("entry", "str", "", "The WSGI entry file, relative to the project. Either this or `callable`."),
    Key("settings", "str", "", "The ini file with the application's default settings, relative to the project."),
    Key("artifacts", "str", "artifacts", "The artifact store: a directory (relative to the project), file:///path, "
        "s3://bucket/prefix, sftp://host/path; to deploy from only: https://host/path."),
    Key("python", "texts", ("3.11",), "The minor version of the hosts' Python, which the wheels are for; a list such as [\"3.11\", \"3.12\"] "
        "where hosts differ: each takes its own part."),
    Key("platform", "str", "", "The hosts' platform tag for pip, such as manylinux_2_36_x86_64; one for all of a release. Default: this machine's."),
    Key("vendor", "texts", ("all",), "The dependencies whose wheels lie in the store: all, none, or their names. The others are locked by "
        "hash, and `fab deploy` fetches them; `--vendor` goes before it."),
    Key("extras", "list", (), "Extras of the package whose dependencies belong to the release, such as postgresql."),
    Key("test", "list", (), "The test command, as an argument vector. Default: python -m pytest, else unittest."),
    Key("publish_to", "list", ("store",), "Where releases go: the store, and with \"index\" a package index too, by twine after the store has it."),
    Key("repository", "str", "", "The package index to upload to: a name of ~/.pypirc such as pypi, or the address that twine uploads to. "
        "Credentials are twine's: keyring, TWINE_*, ~/.pypirc."),
    Key("index_url", "str", "", "Where that index shows its simple pages, such as https://index.example.org/simple: what it has already is read there."),
    Key("strict_metadata", "bool", True, "Refuse a release whose metadata an index would take with a warning only, such as a README without "
        "its content type. What an index would not take is refused in any case."),
    Key("verify_reproducible", "bool", False, "Build sdist and wheel a second time, elsewhere and with other file times, and release "
        "only if the bytes are the same."),
    Key("generated", "list", (), "Files that the build writes into the sdist or changes in it, as patterns such as src/*/_build.py. Any other file of the "
        "sdist must be the commit's, byte by byte; metadata, and what version control ignores, may be there besides."),
    Key("channel", "str", "dev", "`prod` releases only what requirements.lock in the repository pins, file by file; `--channel` "
        "goes before it.", ("dev", "prod")),
    Key("branch", "str", "", "The branches that may release: names or patterns, separated by commas, such as main, release/*. "
        "Default: any."),
    Key("remote", "str", "", "The remote that branch and tag are pushed to, if the repository has it. Default: origin for git, default "
        "for Mercurial."),
    Key("tag", "str", "{version}", "The tag's name; {version} stands for the version."),
    Key("changelog", "str", "", "The changelog's file. Default: the first of CHANGELOG, CHANGELOG.md, CHANGES, ... "
        "that is there."),
    Key("signing_key", "str", "", "The SSH key that signs releases and the index: a private key's file, or a public one whose private "
        "half your SSH agent holds; relative to the project, ~ is your home. Default: releases are not signed."),
    Key("index_days", "int", 90, "Days until the signed index of releases expires; `inv index`, and every release, renews it."),
    Key("rollback_safe", "bool", True, "false for a release that leaves what the ones before may not work with, such as a migrated database: its manifest says so, a deploy of it "
        "that fails halts instead of going back, and a rollback across it needs `--force-unsafe`."),
    Key("version_file", "str", "", "The file the version is written in, once. Default: found."),
)
PROJECT += tuple(
    Key(f"hooks.{when}_{phase}", "vectors", (), f"{when.capitalize()} {phase}: a command as an argument vector, or a list of such. " + {
        "before_test": "In the tests' own tree; a failure undoes the release.",
        "before_publish": "The tag is pushed already: a failure stops, and the same command goes on.",
        "after_push": "The release goes on: a failure is a warning.",
        "after_publish": "The release is done: a failure is a warning."}.get(f"{when}_{phase}", "A failure undoes the release."))
    for phase in PHASES for when in ("before", "after"))

MOMENTS = {
    "before_stage": ("Before the hosts are staged; a failure refuses the deploy.", "Before the host is staged; a failure stops the deploy before any switch."),
    "before_switch": ("When all hosts are staged, before the first switch; a failure stops the deploy with nothing switched.",
                      "Before the host's switch, such as to drain it; a failure: the host is not switched and counts as failed."),
    "after_switch": ("After the last wave; a failure is like a spent budget: `rollout.on_failure`.",
                     "After the host's switch, and whenever its before_switch was begun, whatever came of it (`WEFT_RESULT`), such as to undrain it; "
                     "a failure of a switched host: it goes back and counts as failed."),
    "after_deploy": ("When every host is confirmed; a failure is a warning.", "The same, for each host that was switched; a failure is a warning."),
    "on_rollback": ("When hosts went back, at the end; a failure is a warning.", "When the host went back; a failure is a warning."),
}
"""When a hook of a rollout runs -> what it means once a deploy, and once a host."""

HOST = (
    Key("name", "str", "", "What you call the host; --limit and the tables use it."),
    Key("address", "str", "", "Name or address to connect to. Default: the name."),
    Key("port", "int", 0, "SSH port. Default: ~/.ssh/config, else 22."),
    Key("user", "str", "", "SSH account, if not the environment's."),
    Key("groups", "list", (), "Groups for --limit and --exclude."),
    Key("domain", "str", "", "Failure domain, such as a rack or a zone: waves take hosts of all domains in turn."),
)
OWN = ("python", "workers.processes", "workers.threads", "workers.longest_request", "site.hostname", "site.aliases", "site.port", "site.doors", "settings")
"""What a [[host]] table may say for itself, above what the environment says for all."""

ENVIRONMENT = (
    Key("server", "str", "mod_wsgi", "The server that runs the application.", adapters.known(), adapters.others),
    Key("transport", "str", "ssh", "How the operator reaches the hosts; `local` runs the engine here, without root.",
        ("ssh", "local")),
    Key("prefix", "str", "", "Only with transport = \"local\": the directory that stands for / ; relative to the project."),
    Key("hosts", "list", (), "The hosts by name; for more, use [[host]] tables."),
    Key("host", "tables", (), "One table a host."),
    Key("user", "str", "", "SSH account. Default: ~/.ssh/config, else your own name."),
    Key("identity", "str", "", "SSH private key file. Default: ~/.ssh/config, agent, usual files."),
    Key("known_hosts", "str", "deploy/known_hosts", "Host keys that belong to the project, beside your own ~/.ssh/known_hosts."),
    Key("connect_timeout", "int", 10, "Seconds to reach a host."),
    Key("python", "str", "/usr/bin/python3", "The hosts' Python, which the virtualenvs are made with: its path, or a minor version such as \"3.11\" for the distribution's own."),
    Key("host_artifacts", "str", "", "Where the hosts read the artifact store themselves: an absolute path on them (a mount), https:// or http://. What they lack they take from there, and only "
        "what they cannot read comes over the operator's connection. Default: everything comes over it."),
    Key("account", "str", "", "The account that runs the application. Default: the application's name."),
    Key("variant", "str", "", "Which `key[VARIANT]` lines of the ini apply. Default: the environment's name in capitals."),
    Key("site.hostname", "str", "", "The site's name (ServerName). Default: the application's name."),
    Key("site.aliases", "list", (), "Further names of the site."),
    Key("site.port", "int", 80, "The port the site listens on."),
    Key("site.doors", "list", (), "Two loopback ports for health checks, one a slot. Default: derived from the name."),
    Key("tls.certificate", "str", "", "The certificate with its chain, a PEM file on the hosts: the site is served by HTTPS, too (servers `mod_wsgi` and `express`)."),
    Key("tls.key", "str", "", "Its key, a PEM file on the hosts without a passphrase. It is opened there by OpenSSL, to see that it belongs to the certificate, and never sent or shown."),
    Key("tls.port", "int", 443, "The port of HTTPS."),
    Key("tls.http2", "bool", True, "Offer HTTP/2 beside HTTP/1.1; needs Apache's module http2, and not mpm_prefork."),
    Key("tls.redirect", "bool", True, "Send who asks at `site.port` to https://HOSTNAME with 301. weft's own questions, on loopback, stay plain."),
    Key("workers.processes", "int", 2, "Processes a slot."),
    Key("workers.threads", "int", 8, "Threads a process."),
    Key("workers.longest_request", "int", 60, "Seconds that a request may still take after the switch, before it is cut."),
    Key("health.path", "str", "/", "The path that is asked on the host after warming and after the switch."),
    Key("health.contains", "str", "", "Text that the answer must contain; {version} stands for the version."),
    Key("health.good", "int", 3, "How many good answers in a row are needed."),
    Key("health.timeout", "int", 30, "Seconds for the candidate to become healthy."),
    Key("rollout.waves", "waves", ("1", "10%", "50%", "100%"), "The waves: that many hosts more, or up to that "
        "percentage of all (rounded down), each at least one host; the first is the canary."),
    Key("rollout.max_fail", "share", "0", "How many hosts may fail, a number or a percentage of all (rounded down, at least one), before `on_failure`; "
        "in the first wave none."),
    Key("rollout.min_healthy", "share", "0", "How many hosts must serve well after each wave, a number or a percentage of all; those that did not before do not count."),
    Key("rollout.on_failure", "str", "rollback-all", "When too many failed: every switched host goes back, those of the last wave do, or none.",
        ("rollback-all", "rollback-wave", "halt")),
    Key("rollout.soak", "float", 0.0, "Seconds that the hosts of a wave must stay good before the next one begins; a deploy's only. One that turns bad goes back, and has failed."),
    Key("rollout.compare.requests", "int", 0, "Compare the canary with hosts that still serve the release before, by their users' requests while it soaks: so many "
        "each side must have had. 0: no comparison. A canary that is worse goes back, and has failed."),
    Key("rollout.compare.errors", "float", 1.0, "Percentage points that more of the canary's requests may fail (5xx)."),
    Key("rollout.compare.latency", "float", 50.0, "Percent that 95 of 100 of its requests may take longer."),
    Key("rollout.pause", "str", "", "After which wave a deploy ends for the time being: \"canary\", or a wave's number; `fab promote` goes on. `--pause-after` goes before it."),
    Key("rollout.parallel", "int", 32, "How many hosts are worked on at once."),
    Key("rollout.watch", "float", 2.0, "Seconds that the answers are watched on each host after its switch."),
    Key("rollout.max_errors", "float", 1.0, "Percent of the users' requests that may fail (5xx) while a host is watched, before it goes back; twice "
        "the percentage from before the switch is borne as well."),
    Key("rollout.confirm", "int", 60, "Seconds after which a host that is not confirmed goes back by itself."),
    Key("rollout.keep", "int", 5, "Good releases that stay installed on each host, 5 or more; the files of as many older ones stay in its cache."),
    *(Key(f"hooks.{name}", "vectors", (), f"Once a deploy, on the operator's machine: a command as an argument vector, or a list of such. {once}")
      for name, (once, _each) in MOMENTS.items()),
    Key("hooks.timeout", "int", 60, "Seconds that each of these commands may take."),
    *(Key(f"hooks.host.{name}", "vectors", (), f"Once a host, on the operator's machine: likewise. {each}") for name, (_once, each) in MOMENTS.items()),
    Key("hooks.host.timeout", "int", 60, "Seconds that each of these commands may take."),
    Key("migrate", "list", (), "What changes the database for a new release, as an argument vector such as [\"python\", \"-m\", \"shop.migrate\"]: once a deploy, on the first host "
        "that is to be switched, when all hosts are staged; in the release's virtualenv and settings, as the application's account. {settings} is the file of its settings."),
    Key("migrate_timeout", "int", 600, "Seconds that it may take."),
    Key("settings", "table", None, "[settings.SECTION] tables that override the release's default settings."),
    Key("secrets", "table", None, "[secrets.SECTION] tables that say where a secret setting comes from: KEY = {env = \"NAME\"} the operator's variable, "
        "{command = [\"pass\", \"show\", \"shop/db\"]} what a command of the operator's writes, {file = \"/etc/shop.secret\"} a file on the host, "
        "root's and 0600. They are set last, above all layers, and never shown."),
)

HOST += tuple(Key(key.name, key.kind, None, "[host.settings.SECTION] tables, for this host only, above the environment's." if key.name == "settings"
                  else "For this host only, in place of the environment's.", key.choices) for key in ENVIRONMENT if key.name in OWN)
