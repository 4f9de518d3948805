"""The frozen nouns: names, versions, artifacts, releases and generations.

Everything that crosses a boundary (a command line, a manifest, the wire) is parsed here and refused by name when it is
not what it should be; what has passed can be used in a path or an argument vector.
"""

from __future__ import annotations

import hashlib
import json
import re

from weft.errors import Refused, UsageError
from weft.plan import canonical
from weft.record import asdict, field, record, replace
from weft.typing import Any, Mapping

_NUMBER = r"(?:0|[1-9][0-9]*)"
_LOCAL = rf"(?:{_NUMBER}|[0-9]*[a-z][a-z0-9]*)"
_VERSION = re.compile(
    rf"(?:[1-9][0-9]*!)?{_NUMBER}(?:\.{_NUMBER})*(?:(?:a|b|rc){_NUMBER})?(?:\.post{_NUMBER})?(?:\.dev{_NUMBER})?"
    rf"(?:\+{_LOCAL}(?:\.{_LOCAL})*)?", re.ASCII)
_APP = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*(?:/[A-Za-z0-9][A-Za-z0-9._+!-]*)?", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PYTHON = re.compile(r"3\.(?:0|[1-9][0-9]?)", re.ASCII)

RESERVED = {"simple": "in every artifact store the package index has it"}
FORMATS = (1, 2, 3)
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


@record(frozen=True)
class Artifact:
    """A file of a release: what it is and what its bytes are; not where it lies. size in bytes.

    pythons: of a dependency, the minor versions it is for; () for all that the release is for.
    """

    name: str
    kind: str
    size: int
    sha256: str
    pythons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pythons", _pythons(self.pythons, str(self.name)))
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

    def fits(self, python: str) -> bool:
        """Whether it belongs to what a host of that Python takes."""
        return not self.pythons or python in self.pythons


def _pythons(said: Any, what: str) -> tuple[str, ...]:
    """Minor versions of Python, oldest first. Raises Refused naming `what` they are said of."""
    found = [said] if isinstance(said, str) else list(said) if isinstance(said, (list, tuple)) else [None]
    for each in found:
        if not (isinstance(each, str) and _PYTHON.fullmatch(each)):
            raise Refused(f"{what} names python {_shown(each)}; expected such as 3.11")
    return tuple(sorted(set(found), key=lambda each: int(each[2:])))


@record(frozen=True)
class Release:
    """The manifest: one immutable version of one application. Times are UTC, ISO 8601.

    Either `callable` ("package.module:attribute") or an artifact of kind `entry` says what a server loads.
    `pythons` are the hosts' minor versions that the wheels are for, such as "3.11"; each host takes its own `part`.
    unvendored: dependencies that belong to the release but do not lie in the store; an operator fetches them by sha256.
    built: what made it, name -> version (weft, python, build, backend).  sdist_tar: sha256 of the sdist's tar before
    compression, "" in manifests of older wefts.  format: 1 knew one Python, and had all dependencies in the store; 3 is 2 of a release that is
    not rollback_safe: what was served before it may not work any more with what it leaves, such as a migrated database.
    """

    app: str
    version: Version
    commit: str
    tag: str
    created: str
    pythons: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    callable: str = ""
    changelog: str = ""
    format: int = 2
    built: Mapping[str, str] = field(default_factory=dict, hash=False)
    sdist_tar: str = ""
    unvendored: tuple[Artifact, ...] = ()
    rollback_safe: bool = True

    def __post_init__(self) -> None:
        app_name(self.app)
        object.__setattr__(self, "version", Version(self.version))
        object.__setattr__(self, "pythons", _pythons(self.pythons, "manifest"))
        for name in ("commit", "tag", "created", "changelog", "callable", "sdist_tar"):
            if not isinstance(getattr(self, name), str):
                raise Refused(f"{name} in the manifest is not a text")
        if not isinstance(self.built, dict) or not all(isinstance(each, str) for each in self.built.values()):
            raise Refused("built in the manifest is not a table of texts")
        if not isinstance(self.rollback_safe, bool) or self.rollback_safe == (self.format == 3):
            raise Refused(f"the manifest of {self.app} {self.version} has format {self.format}, and rollback_safe {_shown(self.rollback_safe)}")
        if self.callable and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", self.callable, re.ASCII):
            raise Refused(f"callable {_shown(self.callable)} is not package.module:attribute")
        if len(self.of_kind("wheel")) != 1 or len(self.of_kind("entry")) + bool(self.callable) != 1:
            raise Refused(f"the manifest of {self.app} {self.version} needs one wheel, and one entry or callable")
        self._check_parts()

    def _check_parts(self) -> None:
        """What each Python takes of it can be told, and no name is taken twice."""
        named = f"the manifest of {self.app} {self.version}"
        files = [*self.artifacts, *self.unvendored]
        if len({a.basename for a in files}) != len(files):
            raise Refused(f"{named} names a file twice")
        if not self.pythons:
            raise Refused(f"{named} names no python; expected such as 3.11")
        if any(a.kind != "dependency" for a in self.unvendored):
            raise Refused(f"{named} leaves out of the store what is no dependency")
        for each in files:
            if set(each.pythons) - set(self.pythons) or each.pythons and each.kind != "dependency":
                raise Refused(f"{named} has {each.name} for Python {', '.join(each.pythons)}, itself it is for {', '.join(self.pythons)}")
        if self.format == 1 and (len(self.pythons) != 1 or self.unvendored):
            raise Refused(f"{named} says more than its format 1 can")

    def of_kind(self, *kinds: str) -> list[Artifact]:
        """Of what lies in the store."""
        return [a for a in self.artifacts if a.kind in kinds]

    @property
    def dependencies(self) -> list[Artifact]:
        """The wheels that are installed beside the application's own, wherever they lie; by name."""
        return sorted([*self.of_kind("dependency"), *self.unvendored], key=lambda a: a.name)

    def part(self, python: str) -> Release:
        """What a host of that Python takes, as a release for it alone; its `id` and `layer` are those of the host.

        Raises Refused for a Python that the release is not for.
        """
        if python not in self.pythons:
            raise Refused(f"{self.app} {self.version} is for Python {', '.join(self.pythons)}, not for {python}")
        kept, absent = ([replace(a, pythons=()) for a in files if a.fits(python)] for files in (self.artifacts, self.unvendored))
        return replace(self, pythons=(python,), artifacts=tuple(kept), unvendored=tuple(absent))

    @property
    def id(self) -> str:
        """version + six hex digits of the content: two builds of one version never share a directory on a host."""
        content = [self.app, self.version, self.callable, self._target,
                   sorted((a.name, a.kind, a.sha256) for a in [*self.artifacts, *self.unvendored])]
        return f"{self.version}-{hashlib.sha256(canonical(content).encode()).hexdigest()[:6]}"

    @property
    def layer(self) -> str:
        """The name of the locked dependencies: equal for releases with the same wheels and Python."""
        wheels = sorted(a.sha256 for a in self.dependencies)
        return hashlib.sha256(canonical([self._target, wheels]).encode()).hexdigest()[:12]

    @property
    def _target(self) -> Any:
        """As digests have it: one Python as a text, so that they are what they were in format 1."""
        return self.pythons[0] if len(self.pythons) == 1 else list(self.pythons)

    def for_host(self) -> list[Artifact]:
        """What hosts need; the sdist, lock and SBOM stay in the store."""
        return [*self.of_kind("wheel", "installer", "entry", "settings"), *self.dependencies]

    def to_json(self) -> dict[str, Any]:
        """In the format it was read in: a manifest that was signed keeps its meaning for hosts of any age."""
        said = asdict(self)
        for each in [*said["artifacts"], *said["unvendored"]]:
            if not each["pythons"]:
                del each["pythons"]
        if self.rollback_safe:
            del said["rollback_safe"]
        if self.format == 1:
            said["python"] = said.pop("pythons")[0]
            del said["unvendored"]
        return said

    def text(self) -> str:
        """The manifest as it is published and signed."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, said: Any) -> Release:
        """Raises Refused for anything that is not a manifest, naming what is wrong."""
        if not isinstance(said, dict):
            raise Refused("the manifest is not a JSON object")
        if said.get("format", 1) not in FORMATS or isinstance(said.get("format"), bool):
            raise Refused(f"manifest format {said['format']!r} is unknown to this weft, which reads formats 1 to {FORMATS[-1]}", "upgrade weft")
        said = {"format": 1, **said}
        known = set(cls.__match_args__) - ({"pythons", "unvendored"} if said["format"] == 1 else set())
        known |= {"python"} if said["format"] == 1 else set()
        known -= {"rollback_safe"} if said["format"] < 3 else set()
        if set(said) - known:
            raise Refused(f"the manifest has unknown keys: {', '.join(sorted(set(said) - known))}")
        try:
            if said["format"] == 1:
                said["pythons"] = _one(said.pop("python"))
            files = {key: tuple(Artifact(**each) for each in said.get(key, ())) for key in ("artifacts", "unvendored")}
            return cls(**{**said, **files})
        except (TypeError, KeyError) as error:
            raise Refused(f"the manifest is incomplete or malformed: {error}") from None
        except UsageError as error:
            raise Refused(f"the manifest is not valid: {error.message}") from None


def _one(python: Any) -> tuple[str, ...]:
    """Of format 1, which named one Python as a text."""
    if not isinstance(python, str):
        raise Refused(f"manifest names python {_shown(python)}; expected such as 3.11")
    return (python,)


STATUSES = ("staged", "pending", "good", "bad")


@record(frozen=True)
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
        return cls(**{key: said[key] for key in cls.__match_args__ if key in said})


def when(at: str) -> str:
    """2026-01-31T12:00:00Z as people write it; always UTC."""
    return at.replace("T", " ").replace("Z", " UTC")
