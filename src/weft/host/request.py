"""One request, parsed strictly: unknown verbs, keys and protocol numbers are refused by name."""

from __future__ import annotations

import json
import re

from weft.errors import Refused, UsageError
from weft.host import PROTOCOL, adopt, fleetlock, recover, secrets, trust, window
from weft.host.layout import Layout
from weft.record import field, record
from weft.servers import Site, parse_site
from weft.typing import Any, BinaryIO
from weft.values import Release, Version, app_name

MOST = 4 << 20
_COMMON = {"protocol", "verb", "app", "by", "site"}
# What a deploy may choose for itself. The rest decides what root runs and where: only `setup` may change it, and `setup` is
# not reached through the sudo rule.
FREE = {"health", "variant", "settings", "watch", "max_errors", "confirm", "keep"}
ELSEWHERE: dict[str, tuple[str, set[str]]] = {"logs": ("weft.host.logs", {"lines", "follow", "errors"}), "run": ("weft.host.command", {"argv", "timeout"}),
                                              "undeploy": ("weft.host.undeploy", {"purge", "lock"}), "migrate": ("weft.host.migrate", {"generation", "lock"}),
                                              "enable": ("weft.host.enable", {"lock"}), "disable": ("weft.host.enable", {"lock"}),
                                              "confirm": ("weft.host.confirmation", {"generation", "lock", "hold"})}
"""Verbs that a module of their own answers, imported only for them, and their keys."""
VERBS = {
    "setup": {"deploy_user", "authorized_key", "allowed_signers", "revoked_signers"}, "observe": {"release", "rollback", "secrets", "window", "hold", *trust.KEYS},
    "stage": {"release", "base", "files", "lock", "secrets", *trust.KEYS},
    "activate": {"generation", "base", "lock"}, "confirm": ELSEWHERE["confirm"][1], "revert": {"generation", "lock"}, "rollback": {"to", "base", "force", "lock"},
    "verify": set(), "lock": {"lock"}, **{verb: keys for verb, (_module, keys) in ELSEWHERE.items()},
}


@record(frozen=True)
class Request:
    """What was asked, checked: `site` as the host was set up with it but for what a deploy may choose, `said_site` as it came; `differs` names what is otherwise.
    `stream` has the bytes of `files` (sha256, size)."""

    verb: str
    by: str
    layout: Layout
    site: Site
    said_site: dict[str, Any]
    release: Release | None = None
    rollback: str | None = None
    base: int | None = None
    generation: int = -1
    to: str = ""
    files: list[tuple[str, int]] = field(default_factory=list)
    stream: BinaryIO | None = None
    deploy_user: str = "root"
    authorized_key: str = ""
    differs: tuple[str, ...] = ()
    proof: trust.Proof = trust.Proof()
    signers: tuple[Any, Any] = ("", "")
    lock: fleetlock.Ask | None = None
    window: float = 0.0
    hold: bool = False
    here: bool = False  # typed by root on the host itself
    secrets: secrets.Given | str = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)  # of a verb that is answered elsewhere, for its module to check

    def need_release(self) -> Release:
        if self.release is None:
            raise Refused("the request names no release")
        return self.release


def read(stream: BinaryIO, prefix: str, setting_up: bool = False) -> Request:
    """The request line; the announced files' bytes stay on the stream. Raises Refused."""
    line = stream.readline(MOST + 1)
    if len(line) > MOST:
        raise Refused("the request is larger than 4 MiB")
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused("the request is not a line of JSON") from None
    return parse(said, prefix, stream, setting_up or bool(prefix))


def parse(said: Any, prefix: str, stream: BinaryIO | None = None, may_set_up: bool = False) -> Request:
    """Everything in it is checked here; what comes out can be used in paths and argument vectors."""
    if not isinstance(said, dict):
        raise Refused("the request is not a JSON object")
    if said.get("protocol") != PROTOCOL or isinstance(said["protocol"], bool):
        raise Refused(f"this host's engine speaks protocol {PROTOCOL}, not {said.get('protocol')!r}",
                      "run `fab setup` for this host with the weft that deploys")
    verb = said.get("verb")
    if not isinstance(verb, str) or verb not in VERBS:
        raise Refused(f"verb {verb!r} is unknown; known: {', '.join(VERBS)}")
    if verb == "setup" and not may_set_up:
        raise Refused("setup is not done through the installed engine", "run `fab setup` with an account that may become root")
    odd = set(said) - _COMMON - VERBS[verb]
    if odd:
        raise Refused(f"{verb} does not know: {', '.join(sorted(odd))}", "run `fab setup` for this host with the weft that deploys")
    try:
        app = app_name(said.get("app", ""))
        to = _version_or_none(said.get("to", ""))
        rollback = _rollback(said.get("rollback"))
    except UsageError as error:
        raise Refused(error.message, error.hint) from None
    said_site, differs = (said.get("site"), ()) if may_set_up else as_set_up(Layout(app, prefix), said.get("site"))
    site = adopt.remembered(Layout(app, prefix), parse_site(app, said_site, prefix))
    release, proof = trust.proof(said)
    lock = fleetlock.parse(said.get("lock"), verb)
    if release and release.app != app:
        raise Refused(f"the manifest is of {release.app}, the request is for {app}")
    return Request(verb, _by(said.get("by")), Layout(app, prefix), site, said_site, release, rollback,
                   _number(said, "base", None), _number(said, "generation", -1), to, _files(said.get("files", []), release),
                   stream, str(said.get("deploy_user", "root")), str(said.get("authorized_key", "")), differs,
                   proof, (said.get("allowed_signers", ""), said.get("revoked_signers", "")), lock, window.parse(said.get("window")), _hold(said, lock),
                   secrets=secrets.parse(said.get("secrets")), words={key: said[key] for key in ELSEWHERE.get(verb, ("", set()))[1] & set(said)})


def _hold(said: dict[str, Any], lock: fleetlock.Ask | None) -> bool:
    """Whether a confirmation is for as long as the lock is alive, which there must be then. An `observe` has it only so that an engine which could not refuses."""
    value = said.get("hold", False)
    if not isinstance(value, bool):
        raise Refused("hold is true or false")
    if value and said["verb"] == "confirm" and (lock is None or lock.act != "take"):
        raise Refused("hold: there is no lock that the generation could be held for")
    return value


def as_set_up(layout: Layout, said: Any) -> tuple[Any, tuple[str, ...]]:
    """The environment with all that is not FREE as the host was set up with, and the names of what was asked otherwise."""
    kept = recover.kept_site(layout.state / "site.json") or recover.kept_site(recover.copy_of_site(layout))
    if not isinstance(said, dict) or not kept:
        return said, ()
    kept = {"secret_files": {}, "migrate": {}, "artifacts": "", "tls": {}, **kept}  # which files root reads, and what else runs, is nothing that a deploy says for the first time
    bound = [key for key in kept if key not in FREE and key in said]
    return {**said, **{key: kept[key] for key in bound}}, tuple(key for key in bound if said[key] != kept[key])


def _by(value: Any) -> str:
    return re.sub(r"[^\w@.+-]", "?", str(value or "unknown"), flags=re.ASCII)[:80]


def _rollback(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"to"}:
        raise Refused('rollback is not {"to": VERSION or ""}')
    return _version_or_none(value["to"])


def _version_or_none(value: Any) -> str:
    """A version, "" for none. Raises UsageError."""
    return "" if value is None or value == "" else str(Version(value))


def _number(said: dict[str, Any], key: str, default: Any) -> Any:
    value = said.get(key, default)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Refused(f"{key} is not a number")
    return value


def _files(value: Any, release: Release | None) -> list[tuple[str, int]]:
    """Only files of the manifest, with the manifest's sizes."""
    if not isinstance(value, list):
        raise Refused("files is not a list")
    known = {(a.sha256, a.size) for a in release.for_host()} if release else set()
    found = [(f.get("sha256"), f.get("size")) if isinstance(f, dict) else (None, None) for f in value]
    for digest, size in found:
        if not isinstance(digest, str) or type(size) is not int or (digest, size) not in known:
            raise Refused("files announces something that the manifest does not name")
    return found  # type: ignore[return-value]
