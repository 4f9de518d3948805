"""The frozen nouns: names, versions, artifacts, releases and generations.

Everything that crosses a boundary (a command line, a manifest, the wire) is parsed here and refused by name when it is
not what it should be; what has passed can be used in a path or an argument vector.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Mapping

from weft.errors import Refused, UsageError
from weft.plan import canonical

_NUMBER = r"(?:0|[1-9][0-9]*)"
_LOCAL = rf"(?:{_NUMBER}|[0-9]*[a-z][a-z0-9]*)"
_VERSION = re.compile(
    rf"(?:[1-9][0-9]*!)?{_NUMBER}(?:\.{_NUMBER})*(?:(?:a|b|rc){_NUMBER})?(?:\.post{_NUMBER})?(?:\.dev{_NUMBER})?"
    rf"(?:\+{_LOCAL}(?:\.{_LOCAL})*)?", re.ASCII)
_APP = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*(?:/[A-Za-z0-9][A-Za-z0-9._+!-]*)?", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)

RESERVED = {"simple": "in every artifact store the package index has it"}
KINDS = ("sdist", "wheel", "lock", "dependency", "installer", "entry", "settings", "sbom")


class Version(str):
    """A release's version: canonical PEP 440, its text exactly as typed, never a float."""

    def __new__(cls, text: str) -> Version:
        if not isinstance(text, str) or len(text) > 64 or not _VERSION.fullmatch(text):
            raise UsageError(f"{_shown(text)} is not a version",
                             "give a canonical PEP 440 version such as 1.1.4, 2.0rc1 or 1.0.post1")
        return super().__new__(cls, text)


def app_name(text: str) -> str:
    """An application's name: it becomes an account, a directory and a file name. Raises UsageError."""
    if not isinstance(text, str) or len(text) > 28 or not _APP.fullmatch(text):
        raise UsageError(f"{_shown(text)} is not an application name",
                         "use lower-case letters, digits, '-' and '_', a letter first, 28 at the most")
    if text in RESERVED:
        raise UsageError(f"{text!r} is not an application name: {RESERVED[text]}", "choose another")
    return text


def _shown(text: Any) -> str:
    return repr(text if len(str(text)) <= 60 else str(text)[:57] + "...")


@dataclass(frozen=True)
class Artifact:
    """A file of a release: what it is and what its bytes are; not where it lies. size in bytes."""

    name: str
    kind: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _FILE.fullmatch(self.name) and ".." not in self.name):
            raise Refused(f"artifact name {_shown(self.name)} is not allowed in a manifest")
        if self.kind not in KINDS:
            raise Refused(f"artifact kind {_shown(self.kind)} is unknown; known: {', '.join(KINDS)}")
        if not (isinstance(self.sha256, str) and _SHA.fullmatch(self.sha256)):
            raise Refused(f"sha256 of {self.name} is not 64 hex digits")
        if not (isinstance(self.size, int) and 0 <= self.size < 1 << 33):
            raise Refused(f"size of {self.name} is not a number of bytes")

    @property
    def basename(self) -> str:
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Release:
    """The manifest: one immutable version of one application. Times are UTC, ISO 8601.

    Either `callable` ("package.module:attribute") or an artifact of kind `entry` says what a server loads.
    `python` is the host's minor version the wheels are for, such as "3.11".  built: what made it, name -> version (weft,
    python, build, backend).  sdist_tar: sha256 of the sdist's tar before compression, "" in manifests of older wefts.
    """

    app: str
    version: Version
    commit: str
    tag: str
    created: str
    python: str
    artifacts: tuple[Artifact, ...]
    callable: str = ""
    changelog: str = ""
    format: int = 1
    built: Mapping[str, str] = field(default_factory=dict, hash=False)
    sdist_tar: str = ""

    def __post_init__(self) -> None:
        app_name(self.app)
        object.__setattr__(self, "version", Version(self.version))
        for name in ("commit", "tag", "created", "changelog", "callable", "sdist_tar"):
            if not isinstance(getattr(self, name), str):
                raise Refused(f"{name} in the manifest is not a text")
        if not isinstance(self.built, dict) or not all(isinstance(each, str) for each in self.built.values()):
            raise Refused("built in the manifest is not a table of texts")
        if not re.fullmatch(r"3\.[0-9]{1,2}", str(self.python)):
            raise Refused(f"manifest names python {_shown(self.python)}; expected such as 3.11")
        if self.callable and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", self.callable, re.ASCII):
            raise Refused(f"callable {_shown(self.callable)} is not package.module:attribute")
        names = [a.basename for a in self.artifacts]
        if len(set(names)) != len(names):
            raise Refused(f"the manifest of {self.app} {self.version} names a file twice")
        if len(self.of_kind("wheel")) != 1 or len(self.of_kind("entry")) + bool(self.callable) != 1:
            raise Refused(f"the manifest of {self.app} {self.version} needs one wheel, and one entry or callable")

    def of_kind(self, *kinds: str) -> list[Artifact]:
        return [a for a in self.artifacts if a.kind in kinds]

    @property
    def id(self) -> str:
        """version + six hex digits of the content: two builds of one version never share a directory on a host."""
        content = [self.app, self.version, self.callable, self.python,
                   sorted((a.name, a.kind, a.sha256) for a in self.artifacts)]
        return f"{self.version}-{hashlib.sha256(canonical(content).encode()).hexdigest()[:6]}"

    @property
    def layer(self) -> str:
        """The name of the locked dependencies: equal for releases with the same wheels and Python."""
        wheels = sorted(a.sha256 for a in self.of_kind("dependency"))
        return hashlib.sha256(canonical([self.python, wheels]).encode()).hexdigest()[:12]

    def for_host(self) -> list[Artifact]:
        """What a host needs; the sdist, lock and SBOM stay in the store."""
        return self.of_kind("wheel", "dependency", "installer", "entry", "settings")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """The manifest as it is published and signed."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, said: Any) -> Release:
        """Raises Refused for anything that is not a manifest, naming what is wrong."""
        if not isinstance(said, dict):
            raise Refused("the manifest is not a JSON object")
        if said.get("format", 1) != 1:
            raise Refused(f"manifest format {said['format']!r} is unknown to this weft, which reads format 1", "upgrade weft")
        known = set(cls.__dataclass_fields__)
        if set(said) - known:
            raise Refused(f"the manifest has unknown keys: {', '.join(sorted(set(said) - known))}")
        try:
            files = tuple(Artifact(**each) for each in said["artifacts"])
            return cls(**{**said, "artifacts": files})
        except (TypeError, KeyError) as error:
            raise Refused(f"the manifest is incomplete or malformed: {error}") from None
        except UsageError as error:
            raise Refused(f"the manifest is not valid: {error.message}") from None


STATUSES = ("staged", "pending", "good", "bad")


@dataclass(frozen=True)
class Generation:
    """What a host serves or served: a release with its effective settings. `number` only grows.

    status: staged (never served), pending (serves, not yet confirmed), good, bad (was undone).
    settings: sha256 of the rendered ini, "" without one.  by, at: who (user@machine) and when (UTC).
    previous: the generation that served before it, the way back; 0 is the placeholder of `fab setup`.
    """

    number: int
    release: str
    version: str
    settings: str
    status: str
    by: str = ""
    at: str = ""
    previous: int = 0
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Generation:
        """Whatever else a record holds is the engine's own."""
        return cls(**{key: said[key] for key in cls.__dataclass_fields__ if key in said})
