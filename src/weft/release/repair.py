"""`inv index`: what a store shows beside its releases, written anew from what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from weft.errors import WeftError
from weft.index import Sealed, remembered
from weft.release import chain, indexing
from weft.release.observe import Project
from weft.release.sign import Signing
from weft.simple import static
from weft.stores import listing


@dataclass(frozen=True)
class Repaired:
    """renewed: the project's own index.  projects: how many the package index lists.  others: application -> what was found of
    its index.json.  left: "shop 1.0" -> why it is neither listed nor offered."""

    renewed: indexing.Renewed
    projects: int
    others: Mapping[str, str]
    left: Mapping[str, str]


def repair(project: Project) -> Repaired:
    """listing.json and simple/ for all applications of the store, then the project's own index.json under its next serial.

    Raises Refused where the key does not sign, before anything is written.
    """
    chosen = chain.able(project)
    left = listing.mend(project.store)
    built = static.build(project.store, anew=True)
    renewed = indexing.renew(chosen, mend=True)
    others = {app: _other(chosen, app) for app in project.store.apps() if app != project.app}
    return Repaired(renewed, built.projects, {app: said for app, said in others.items() if said}, {**left, **built.left})


def _other(chosen: indexing.Shelf, app: str) -> str:
    """Mend another application's index.json where nobody's signature is asked for; else say who can. "": it is in order."""
    store = chosen.store
    try:
        raw = store.index(app)
        if indexing.damaged(raw, app):
            raw = b""
        versions = Sealed.from_bytes(raw).own(app).versions if raw else {}
        lacking = [version for version in store.versions(app) if version not in versions]
        if raw and not lacking:
            return ""
        if chosen.signing.key or chosen.signing.signers or _signed(store, app, raw):
            return ("its index.json is not there" if not raw else f"its index.json lacks {', '.join(lacking)}") + "; `inv index` in its project writes it"
        unsigned = indexing.Shelf(store, app, Signing("", None), remembered(str(store), app), chosen.days)
        return f"its index.json was written anew, serial {indexing.renew(unsigned, mend=True).index.serial}"
    except WeftError as error:
        return f"{error.message}; `inv index` in its project may write it anew"


def _signed(store: Any, app: str, raw: bytes) -> bool:
    """Whether anything of an application was ever signed."""
    return bool(raw and Sealed.from_bytes(raw).signature) or any(store.signature(app, version) for version in store.versions(app))
