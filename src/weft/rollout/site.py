"""The `site` table of the engine's protocol, from an environment: what a host must know of it. Pure."""

from __future__ import annotations

import re
from typing import Any

from weft.config.keys import OWN
from weft.config.load import Layer
from weft.rollout import secrets
from weft.servers import program_named, readable_by_hosts

_SIMPLE = {"processes": "workers.processes", "threads": "workers.threads",
           "longest_request": "workers.longest_request", "watch": "rollout.watch", "max_errors": "rollout.max_errors",
           "confirm": "rollout.confirm", "keep": "rollout.keep"}
_HOSTNAME = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_FILE = re.compile(r"/(?!.*\.\.)[A-Za-z0-9._/+@~-]+", re.ASCII)
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)


def site(env: Layer, app: str) -> dict[str, Any]:
    """Raises UsageError, with file and line, for a value that has the right type but no sense."""
    _check(env)
    # Under a prefix there is no account of the application's own: all is the user's, or nobody's where root starts it.
    account = env["account"] or ("nobody" if env["transport"] == "local" else app)
    files = secrets.files(secrets.sources(env))
    return {
        "server": env["server"], "account": account, "python": interpreter(env["python"]),
        "hostname": env["site.hostname"] or app, "aliases": list(env["site.aliases"]),
        "port": env["site.port"], "doors": list(env["site.doors"]),
        "health": {"path": env["health.path"], "contains": env["health.contains"],
                   "good": env["health.good"], "timeout": env["health.timeout"]},
        "variant": env["variant"] or env["name"].upper().replace("-", "_"),
        "settings": settings(env),
        **{name: env[key] for name, key in _SIMPLE.items()},
        **({"secret_files": files} if files else {}),
        **({"artifacts": env["host_artifacts"]} if env["host_artifacts"] else {}),
        **({"tls": {name: env[f"tls.{name}"] for name in ("certificate", "key", "port", "http2", "redirect")}} if env["tls.certificate"] else {}),
        **({"migrate": {"command": list(env["migrate"]), "timeout": env["migrate_timeout"]}} if env["migrate"] else {}),
    }


def interpreter(said: str) -> str:
    """A minor version such as "3.11" means the distribution's own."""
    return f"/usr/bin/python{said}" if re.fullmatch(r"3\.\d{1,2}", said) else said


def sites(env: Layer, app: str) -> dict[str, dict[str, Any]]:
    """The same of each [[host]] that says something for itself. Raises likewise, with the line of that host."""
    return {str(said["name"]): site(layered(env, said), app) for said in env["host"] if own(said)}


def own(said: dict[str, Any]) -> dict[str, Any]:
    """What a [[host]] table says for itself."""
    return {key: said[key] for key in OWN if said.get(key) not in (None, {})}


def layered(env: Layer, said: dict[str, Any]) -> Layer:
    """The environment as one host has it: its own values above, its settings key by key."""
    mine = own(said)
    if isinstance(mine.get("settings"), dict):
        mine["settings"] = {section: {**_table(env["settings"].get(section)), **values} if isinstance(values, dict) else values
                            for section, values in {**env["settings"], **mine["settings"]}.items()}
    return Layer(env.path, {**env.values, **mine}, {**env.origins, **{key: said["line"] for key in mine}})


def _table(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}


def settings(env: Layer) -> dict[str, dict[str, str]]:
    """[settings.SECTION] as texts, the way an ini holds them: true and false in lower case, lists one a line."""
    out: dict[str, dict[str, str]] = {}
    for section, values in env["settings"].items():
        if not isinstance(values, dict):
            raise env.wrong("settings", f"{section!r} stands outside of a section",
                            f"write it as [settings.SECTION] with {section} = … below")
        out[section] = {key: _text(env, f"{section}.{key}", value) for key, value in values.items()}
    return out


def _text(env: Layer, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, (str, int, float)) for each in value):
        return "\n".join(_text(env, key, each) for each in value)
    raise env.wrong("settings", f"{key} is a {type(value).__name__}, which an ini cannot hold",
                    "give a text, a number, true or false, or a list of those")


def _check(env: Layer) -> None:
    for key in ("site.hostname", "account"):
        shape = _HOSTNAME if key == "site.hostname" else _ACCOUNT
        if env[key] and not shape.fullmatch(env[key]):
            raise env.wrong(key, f"{env[key]!r} is not {'a host name' if shape is _HOSTNAME else 'an account name'}")
    for alias in env["site.aliases"]:
        if not _HOSTNAME.fullmatch(alias):
            raise env.wrong("site.aliases", f"{alias!r} is not a host name")
    if env["site.doors"] and (len(env["site.doors"]) != 2 or not all(isinstance(d, int) for d in env["site.doors"])):
        raise env.wrong("site.doors", f"expected two port numbers, got {env['site.doors']!r}",
                        "give for example [8101, 8102], or leave it out")
    _tls(env)
    if not env["health.path"].startswith("/"):
        raise env.wrong("health.path", f"{env['health.path']!r} does not start with '/'")
    if not interpreter(env["python"]).startswith("/"):
        raise env.wrong("python", f"{env['python']!r} is not an absolute path", 'give for example "/usr/bin/python3"')
    if not readable_by_hosts(env["host_artifacts"]):
        raise env.wrong("host_artifacts", f"{env['host_artifacts']!r} is neither an absolute path on the hosts nor an address",
                        'give for example "/srv/artifacts" or "https://artifacts.example.org", without a password')
    if not 5 <= env["rollout.keep"] <= 1000:
        raise env.wrong("rollout.keep", "must be 5 or more, and not above 1000")
    if not 0 <= env["rollout.max_errors"] <= 100:
        raise env.wrong("rollout.max_errors", "must be a percentage from 0 to 100")
    _soak(env)
    if env["migrate"] and not program_named(env["migrate"][0]):
        raise env.wrong("migrate", f"{env['migrate'][0]!r} is neither a program's name nor a whole path",
                        'on the hosts there is no directory that it could be relative to; give for example ["python", "-m", "shop.migrate"]')
    if env["migrate_timeout"] > 86400:
        raise env.wrong("migrate_timeout", "must not be above 86400, a day")
    _above_zero(env)


def _tls(env: Layer) -> None:
    for key, other in (("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")):
        if not env[key] and env[other]:
            raise env.wrong(other, f"{key} is not set beside it", "name both: the certificate with its chain, and its key, as files on the hosts")
        if env[key] and not _FILE.fullmatch(env[key]):
            raise env.wrong(key, f"{env[key]!r} is not the whole path of a file on the hosts", 'give for example "/etc/ssl/private/shop.pem"')
    if not 1 <= env["tls.port"] <= 65535 or env["tls.port"] in (env["site.port"], *env["site.doors"]):
        raise env.wrong("tls.port", f"{env['tls.port']} is not a port of its own", "beside site.port, where weft asks on the host itself; 443 as a rule")


def _soak(env: Layer) -> None:
    for key in ("rollout.soak", "rollout.compare.requests", "rollout.compare.errors", "rollout.compare.latency"):
        if not 0 <= env[key] <= 86400:
            raise env.wrong(key, "must be 0 or more, and not above 86400")
    if env["rollout.compare.requests"] and not env["rollout.soak"]:
        raise env.wrong("rollout.compare.requests", "a canary is compared by what its users got while it soaked, and rollout.soak is 0",
                        "set for example rollout.soak = 300")


def _above_zero(env: Layer) -> None:
    for key in ("workers.processes", "workers.threads", "health.good", "health.timeout", "rollout.confirm",
                "rollout.parallel", "connect_timeout", "migrate_timeout"):
        if env[key] < 1:
            raise env.wrong(key, "must be 1 or more")
    for port in [env["site.port"], *env["site.doors"]]:
        if not 1 <= port <= 65535:
            raise env.wrong("site.port" if port == env["site.port"] else "site.doors", f"{port} is not a port")
