"""Turn a hand edit of /etc/APP.ini into a drop-in, and show the live settings there again."""

from __future__ import annotations

import time

from weft import durable
from weft.config import ini
from weft.host.commands import ids
from weft.host.layout import Layout
from weft.host.machine import Machine
from weft.typing import Any


def keep(here: Machine) -> dict[str, Any]:
    """The sentences of what was done, and the host as it then is."""
    layout = here.layout
    with here.disk_told("keep-edit"), here.locked("keep-edit"):
        state = here.state()
        if not state.drift or state.live is None:
            return {"did": [], "state": state.to_json()}
        kept_aside = layout.sealed_settings(state.live)
        sealed = kept_aside.read_text(encoding="utf-8") if kept_aside.exists() else ""  # generation 0, or one without settings
        edited = layout.ini.read_text(encoding="utf-8") if layout.ini.exists() else sealed  # it was removed: nothing to keep
        stamp = _stamp(layout)
        durable.write(layout.state / f"edited-{stamp}.ini", edited, 0o600)
        kept = layout.drop_ins / f"50-kept-{stamp}.ini"
        durable.write(kept, _changes(ini.parse(edited, str(layout.ini)), ini.parse(sealed, "the sealed settings")), 0o640)
        _restore(layout, state.live, sealed, here.site.account)
        return {"did": [f"kept the changes in {kept}; the next deploy applies them",
                        f"kept the whole edited file in {layout.state / f'edited-{stamp}.ini'}"],
                "state": here.state().to_json()}


def _stamp(layout: Layout) -> str:
    """Now, and never that of an edit that was kept before; later ones sort behind it."""
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return next(now + more for more in ("", *"bcdefghijklmnopqrstuvwxyz") if not (layout.state / f"edited-{now}{more}.ini").exists())


def _changes(edited: Any, rendered: Any) -> str:
    lines = ["# A hand edit of the settings, kept by weft-host keep-edit.\n"]
    for section in ["DEFAULT", *edited.sections()]:
        old = dict(rendered[section]) if section in rendered else {}
        new = {k: v for k, v in ini.own(edited, section).items() if old.get(k) != v}
        if new:
            lines.append(f"\n[{section}]\n" + "".join(f"{k} = {_indented(v)}\n" for k, v in new.items()))
    return "".join(lines)


def _indented(value: str) -> str:
    return value.replace("\n", "\n    ")


def _restore(layout: Layout, number: int, sealed: str, account: str) -> None:
    """The generation's own copy as it was sealed, and the link in /etc."""
    path = layout.generation(number) / "settings.ini"
    if sealed:
        durable.write(path, sealed, 0o640, (0, ids(layout, account)[1]) if layout.privileged else None)
    durable.link(layout.ini, str(layout.live / "generation" / "settings.ini"), over_file=True)
