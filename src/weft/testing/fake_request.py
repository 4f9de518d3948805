"""What the fake engine takes for a request: the verbs and keys of the real one, in the same words."""

from __future__ import annotations

import json
from typing import Any

from weft.errors import Refused
from weft.plan import Plan, Step

PROOF = {"manifest", "signature", "index", "index_signature", "version", "force"}
VERBS = {"setup": {"deploy_user", "authorized_key", "allowed_signers", "revoked_signers"}, "observe": {"release", "rollback", "secrets", "window", "hold", *PROOF},
         "stage": {"release", "base", "files", "lock", "secrets", *PROOF}, "activate": {"generation", "base", "lock"},
         "confirm": {"generation", "lock", "hold"}, "revert": {"generation", "lock"}, "rollback": {"to", "base", "force", "lock"}, "verify": set(), "lock": {"lock"},
         "logs": {"lines", "follow", "errors"}, "run": {"argv", "timeout"}, "undeploy": {"purge", "lock"}, "migrate": {"generation", "lock"}, "enable": {"lock"}, "disable": {"lock"}}
COMMON = {"protocol", "verb", "app", "by", "site"}


def parse(text: bytes) -> dict[str, Any]:
    """The request. Raises Refused for what the protocol does not know."""
    try:
        request = json.loads(text)
    except ValueError:
        raise Refused("the request is not a line of JSON") from None
    if not isinstance(request, dict) or "protocol" not in request:
        raise Refused("the request is not a JSON object with a protocol number")
    if request["protocol"] != 1:
        raise Refused(f"this host's engine speaks protocol 1, not {request['protocol']!r}", "fab setup")
    if request.get("verb") not in VERBS:
        raise Refused(f"verb {request.get('verb')!r} is unknown; known: {', '.join(VERBS)}")
    unknown = set(request) - COMMON - VERBS[request["verb"]]
    if unknown:
        raise Refused(f"{request['verb']} does not know: {', '.join(sorted(unknown))}")
    return request


def window(request: dict[str, Any], order: dict[str, Any], ill: bool) -> dict[str, Any]:
    """What `observe` says of the seconds before, where that was asked. Nobody visits a fake host but as an order says."""
    if "window" not in request:
        return {}
    return {"window": {"health": "status 502: " if ill else "", "traffic": "", "requests": 0, "errors": 0, "took": {}, **order.get("window", {})}}


def ready_plan(state: dict[str, Any], host: str, release: str) -> Plan | None:
    """The plan of a host that has a release staged, as the real engine makes it; None where it has not."""
    found = next((each for each in state["generations"] if (each["release"], each["status"], each["previous"]) == (release, "staged", state["live"])), None)
    steps = (Step("check", "import the application", {"generation": found["number"]}), Step("flip", "switch", commit=True)) if found else ()
    return Plan(host, str(state["live"]), release, steps) if found else None
