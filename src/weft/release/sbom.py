"""A CycloneDX 1.6 bill of materials from what a release really holds: the wheelhouse's wheels and their metadata.

Made from nothing but its arguments, so that the same release gives the same bytes.
"""

from __future__ import annotations

import email.message
import json
import re
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping, Sequence
from urllib.parse import quote

from weft import __version__, durable
from weft.release import build

_NAMESPACE = uuid.UUID("6f9b2d5e-2a55-5d0c-9a42-7f5f0c3f9a11")
_PREFIX = "License :: "


def text(app: str, version: str, commit: str, epoch: int, wheel: Path, wheels: Sequence[Path], environments: Sequence[Mapping[str, str]]) -> str:
    """sbom.json. epoch: the commit's time.  wheel: the application's own.  wheels: its locked dependencies.  environments: what markers
    mean on the hosts, a target at a time."""
    found: dict[str, list[Path]] = {}
    for each in sorted(wheels):
        found.setdefault(_normal(build.metadata(each)["Name"]), []).append(each)
    root = _component(wheel, "application")
    parts = _libraries([each for _, several in sorted(found.items()) for each in several])
    digests = sorted(said["content"] for part in [root, *parts] for said in part["hashes"])
    said = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": uuid.uuid5(_NAMESPACE, "\n".join([app, version, commit, *digests])).urn,
        "metadata": {"timestamp": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "component": root,
                     "tools": {"components": [{"type": "application", "name": "weft", "version": __version__}]}},
        "components": parts, "dependencies": _graph(root, wheel, found, environments)}
    return json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(said: email.message.Message) -> str:
    return f"pkg:pypi/{_normal(said['Name'])}@{quote(said['Version'], safe='.-')}"


def _component(wheel: Path, kind: str) -> dict[str, Any]:
    said = build.metadata(wheel)
    part = {"type": kind, "bom-ref": _purl(said), "purl": _purl(said), "name": said["Name"], "version": said["Version"],
            "hashes": [{"alg": "SHA-256", "content": durable.sha256(wheel)}]}
    licences = _licences(said)
    summary = (said["Summary"] or "").strip()
    return {**part, **({"licenses": licences} if licences else {}), **({"description": summary} if summary not in ("", "UNKNOWN") else {})}


def _libraries(wheels: Sequence[Path]) -> list[dict[str, Any]]:
    """One component a version, with the hashes of all its wheels: those of other Pythons too."""
    parts: dict[str, dict[str, Any]] = {}
    for each in wheels:
        part = _component(each, "library")
        parts.setdefault(part["bom-ref"], {**part, "hashes": []})["hashes"] += part["hashes"]
    return list(parts.values())


def _licences(said: email.message.Message) -> list[dict[str, Any]]:
    """The expression, which is SPDX, where the package gives one; else the words it has, as names."""
    if said["License-Expression"]:
        return [{"expression": said["License-Expression"].strip()}]
    classified = [line.split(" :: ")[-1] for line in said.get_all("Classifier") or () if line.startswith(_PREFIX)]
    named = [each for each in classified if each != "OSI Approved"]
    words = (said["License"] or "").strip().splitlines()
    if not named and words and words[0] != "UNKNOWN":
        named = [words[0][:200]]
    return [{"license": {"name": each}} for each in dict.fromkeys(named)]


def _graph(root: Mapping[str, Any], wheel: Path, found: Mapping[str, Sequence[Path]], environments: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Who asks for whom, out of what was locked; the application for all that nobody else does, too."""
    asks = {_purl(build.metadata(path)): (name, path) for name, several in found.items() for path in several}
    wants = {ref: _asked(path, found, environments) - {name} for ref, (name, path) in asks.items()}
    mine = _asked(wheel, found, environments)
    orphans = set(found) - mine - {name for each in wants.values() for name in each}
    refs = {name: sorted({_purl(build.metadata(path)) for path in several}) for name, several in found.items()}
    rows = [(root["bom-ref"], mine | orphans), *((ref, wants[ref]) for ref in sorted(wants, key=lambda ref: (asks[ref][0], ref)))]
    return [{"ref": ref, **({"dependsOn": sorted(each for name in names for each in refs[name])} if names else {})} for ref, names in rows]


def _asked(wheel: Path, found: Mapping[str, Any], environments: Sequence[Mapping[str, str]]) -> set[str]:
    from packaging.requirements import Requirement
    return {_normal(Requirement(line).name) for each in environments for line in build.requirements(wheel, each)} & set(found)
