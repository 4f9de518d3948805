"""Where a project writes its version, how it is changed there, and which one comes next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from weft.errors import UsageError
from weft.values import Version

PARTS = ("major", "minor", "patch")
_NAMES = ("__version__|VERSION", "__VERSION__|version|_version|RELEASE|release")
_PYTHON = [re.compile(rf"""^(\s*(?:\w+\s*=\s*)*(?:{names})\s*(?::\s*[\w.\[\]]+\s*)?=\s*(?:\w+\s*=\s*)*["'])([^"'\s]*)(["'])""", re.M)
           for names in _NAMES]
"""The usual names first: a file may have another `version` before them."""
_VARIABLE = re.compile(rf"\bversion\s*=\s*(?:{'|'.join(_NAMES)})\s*[,)]")
_KEYWORD = re.compile(r"""^([^#\n]*?\bversion\s*=\s*["'])([^"'{}%]*)(["'])""", re.M)
_TOML = re.compile(r"""^(\s*version\s*=\s*["'])([^"']*)(["'])""", re.M)
_CFG = re.compile(r"^(version\s*[=:][ \t]*)([^\s#;]+)()", re.M)
_WHOLE = re.compile(r"\A(\s*)(\S+)()")
_SCM = re.compile(r"setuptools[-_]scm|hatch-vcs|use_scm_version|versioningit|pdm.*scm|flit[-_]scm|dunamai|dynamic-versioning|^source *= *.scm")
_POINTERS = (("tool.setuptools.dynamic", "version", "attr"), ("tool.hatch.version", "path", "file"), ("tool.pdm.version", "path", "file"))
_VERSION_FILES = ("VERSION", "VERSION.txt", "version.txt")
_INIT_FILES = ("__init__.py", "__about__.py", "_version.py", "version.py", "__version__.py")


@dataclass(frozen=True)
class Place:
    """One spot that says the version. path: relative to the project, "" when the tag itself is the version."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.path else "the tag"


def places(root: Path, version_file: str = "") -> list[Place]:
    """Every spot where the project writes its version; empty when none was found.

    One place is usual; several that agree are changed together; several that differ are a fault the caller reports.
    """
    if version_file:
        return _in_file(root, version_file)
    toml, cfg, setup = (_text(root / name) for name in ("pyproject.toml", "setup.cfg", "setup.py"))
    if not _static(toml) and any(_SCM.search(line.split("#")[0]) for text in (toml, cfg, setup) for line in text.splitlines()):
        return [Place("", 0, "")]
    declared = [place for name in ("pyproject.toml", "setup.cfg", "setup.py") for place in _in_file(root, name)]
    pointed = [place for path in _pointed(root, toml, cfg) for place in _in_file(root, path)]
    packages = pointed or [place for path in _package_files(root, toml + cfg) for place in _in_file(root, path)]
    if not declared:
        return packages or _read_by_setup(root, setup)
    texts = {place.text for place in declared}
    return declared + [place for place in packages if place.text in texts]


def _read_by_setup(root: Path, setup: str) -> list[Place]:
    """A file of nothing but the version that setup.py names."""
    return [place for name in _VERSION_FILES if re.search(rf"\b{re.escape(name)}\b", setup) for place in _in_file(root, name) if valid(place.text)]


def _static(toml: str) -> bool:
    """Whether [project] itself gives the version, so that no tool asks the tag for it."""
    span = _table(toml, "project")
    return bool(span and _TOML.search(toml, *span))


def _pointed(root: Path, toml: str, cfg: str) -> list[str]:
    """The files that the build backend's configuration names as the version's place."""
    found = re.search(r"^version\s*[=:]\s*(attr|file):\s*([\w./-]+)", cfg, re.M)
    named = [(found[1], found[2])] if found else []
    for table, key, kind in _POINTERS:
        span = _table(toml, table)
        said = span and re.compile(rf"""^\s*{key}\s*=\s*(?:\{{\s*(attr|file)\s*=\s*)?\[?\s*["']([^"']+)["']""", re.M).search(toml, *span)
        named += [(said[1] or kind, said[2])] if said else []
    return [path for kind, value in named for path in ([value] if kind == "file" else _module_files(value)) if (root / path).is_file()]


def _module_files(attribute: str) -> list[str]:
    """Where "package.module.__version__" may lie."""
    module = attribute.replace(":", ".").rpartition(".")[0].replace(".", "/")
    return [f"{where}{module}{end}" for where in ("src/", "lib/", "") for end in (".py", "/__init__.py")]


def _package_files(root: Path, configuration: str) -> list[str]:
    """The files of the main package, or of every package when none bears the project's name."""
    found = [path.relative_to(root).as_posix() for name in _INIT_FILES for where in ("", "src/", "lib/")
             for path in sorted(root.glob(f"{where}*/{name}")) if path.parent.name not in ("tests", "test", "docs")]
    named = re.search(r"""^\s*name\s*=\s*["']?([\w.-]+)""", configuration, re.M)
    main = re.sub(r"[-_.]+", "_", named[1]).lower() if named else ""
    modules = [f"{where}{main}.py" for where in ("", "src/") if main and (root / f"{where}{main}.py").is_file()]
    found += modules
    return [path for path in found if f"/{path}".split("/")[-2].lower() == main or path in modules] or found


def _in_file(root: Path, path: str) -> list[Place]:
    text = _text(root / path)
    match = _match(path, text)
    return [Place(path, text.count("\n", 0, match.start(2)) + 1, match[2])] if match else []


def _match(path: str, text: str) -> re.Match | None:
    """The version in a file of this name: group 2."""
    if path.endswith(".toml"):
        spans = [_table(text, "project"), _table(text, "tool.poetry")]
        return next(filter(None, (_TOML.search(text, *span) for span in spans if span)), None)
    if path.endswith(".cfg"):
        span = _table(text, "metadata")
        found = _CFG.search(text, *span) if span else None
        return None if found and found[2] in ("attr:", "file:") else found
    if path.endswith("setup.py"):
        call = re.search(r"\bsetup\s*\(", text)
        found = _KEYWORD.search(text, call.start()) if call else None
        return found or (_assigned(text) if call and _VARIABLE.search(text, call.start()) else None)
    return (_assigned(text) or _KEYWORD.search(text)) if path.endswith(".py") else _WHOLE.search(text)


def _assigned(text: str) -> re.Match | None:
    """The version that Python code gives to a name."""
    return next(filter(None, (pattern.search(text) for pattern in _PYTHON)), None)


def _table(text: str, name: str) -> tuple[int, int] | None:
    """Where a [table]'s lines begin and end."""
    header = re.search(rf"^\s*\[\s*{re.escape(name)}\s*\][^\n]*\n", text, re.M)
    if not header:
        return None
    following = re.compile(r"^\s*\[", re.M).search(text, header.end())
    return header.end(), following.start() if following else len(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def edited(path: str, text: str, new: str) -> str:
    """The file's text with the new version where the old one was; everything else byte for byte."""
    match = _match(path, text)
    if match is None:
        raise UsageError(f"{path} does not say the version", "set version_file in [tool.weft]")
    return text[:match.start(2)] + new + text[match.end(2):]


def bumped(last: str, part: str) -> Version:
    """The next major, minor or patch version after `last`, a pre-release of which counts as not yet there.

    Raises UsageError for another word than these.
    """
    from packaging.version import Version as Order
    if part not in PARTS:
        raise UsageError(f"--bump {part!r} is unknown", f"known: {', '.join(PARTS)}; such as: inv release --bump patch")
    order, at = Order(last), PARTS.index(part)
    numbers = [*order.release, 0, 0, 0][:3]
    if not (order.is_prerelease and not any(numbers[at + 1:])):
        numbers = [*numbers[:at], numbers[at] + 1, *[0] * (2 - at)]
    epoch = f"{order.epoch}!" if order.epoch else ""
    return Version(epoch + ".".join(map(str, numbers)))


def above(one: str, other: str) -> bool:
    """Whether `one` is the later version by PEP 440."""
    from packaging.version import Version as Order
    return Order(one) > Order(other)


def newest(versions) -> str:
    """The latest by PEP 440; "" of none."""
    from packaging.version import Version as Order
    return max(versions, key=Order, default="")


def of_tags(tags, template: str) -> dict[str, str]:
    """version -> tag, for the tags that are versions by the project's template."""
    before, _, after = template.partition("{version}")
    found = {}
    for tag in tags:
        text = tag[len(before):len(tag) - len(after)]
        if tag == before + text + after and valid(text):
            found[text] = tag
    return found


def valid(text: str) -> bool:
    """Whether a text is a canonical version."""
    try:
        return bool(Version(text))
    except UsageError:
        return False
