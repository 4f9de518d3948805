"""The effective settings of a release on this host: its own, the environment's, the drop-ins, and last the secrets."""

from __future__ import annotations


from weft.config import ini
from weft.host import kept, secrets
from weft.host.fingerprint import Settings
from weft.secret import revealed
from weft.typing import Any
from weft.values import Release


def render(machine: Any, release: Release, given: secrets.Given | str | None = None) -> Settings | None:
    """None: the application has no settings. given: secrets, if not the request's. Raises Refused for what is no ini, and for a secret that cannot be read."""
    layout, site, base = machine.layout, machine.site, None
    for artifact in release.of_kind("settings"):
        base = kept.cached(layout, artifact).read_text(encoding="utf-8")
    drop_ins = [(str(p), p.read_text(encoding="utf-8")) for p in sorted(layout.drop_ins.glob("*.ini"))]
    last = secrets.gather(layout, site, machine.request.secrets if given is None else given)
    if base is None and not site.settings and not drop_ins and not last:
        return None
    text = ini.render(base or "", site.settings, drop_ins, site.variant, revealed(last))[0]
    return Settings(text, bool(drop_ins or last), tuple((section, key) for section, values in last.items() for key in values))
