"""Read pyproject.toml or weft.toml, and deploy/NAME.toml, strictly. Operator's side only: tomllib needs Python 3.11."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Iterable

from weft.config.keys import ENVIRONMENT, HOST, PROJECT, Key
from weft.errors import UsageError
from weft.record import field, record


OWN = "weft.toml"
"""A file beside pyproject.toml with the keys of [tool.weft] at its top level, for who would not have them in there."""


@record(frozen=True)
class Layer:
    """Values by dotted key, each with its origin (`file:line`, or "default")."""

    path: Path
    values: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def origin(self, key: str) -> str:
        return self.origins.get(key, "default")

    def wrong(self, key: str, message: str, hint: str = "") -> UsageError:
        """The error for a value that has the right type but no sense."""
        return UsageError(f"{self.origin(key)}: {key}: {message}", hint)


def read_toml(path: Path) -> dict[str, Any]:
    """Raises UsageError with file and line."""
    import tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line (\d+)", str(error))
        raise UsageError(f"{path}:{line[1] if line else 1}: not valid TOML: {error}") from None


def project(root: Path) -> Layer:
    """The project's weft.toml, or [tool.weft] in its pyproject.toml; the name defaults to that of its metadata."""
    own, shared = root / OWN, root / "pyproject.toml"
    if not own.is_file() and not shared.is_file():
        raise UsageError(f"{root} has no pyproject.toml with a [tool.weft] table",
                         "run the command in your project's root; `weft new NAME` makes a project")
    whole = read_toml(shared) if shared.is_file() else {}
    table = whole.get("tool", {}).get("weft")
    if own.is_file() and table is not None:
        raise UsageError(f"{own} is there, and [tool.weft] in {shared} too", "keep one of them")
    if own.is_file():
        layer = check(own, read_toml(own), PROJECT, "")
    elif table is None:
        raise UsageError(f"{shared} has no [tool.weft] table",
                         'add [tool.weft] with at least: callable = "package.module:application"')
    else:
        layer = check(shared, table, PROJECT, "tool.weft")
    layer.values["name"] = layer["name"] or _metadata_name(root, whole)
    return layer


def is_project(root: Path) -> bool:
    """Whether weft is configured in this directory. Reads no more than it must, raises nothing."""
    shared = root / "pyproject.toml"
    return (root / OWN).is_file() or shared.is_file() and "[tool.weft" in shared.read_text(encoding="utf-8", errors="replace")


def _metadata_name(root: Path, whole: dict[str, Any]) -> str:
    """[project] name, Poetry's, setup.cfg's, else the directory's; in lower case, as an application's name is."""
    tables = (whole.get("project", {}), whole.get("tool", {}).get("poetry", {}))
    name = next((table["name"] for table in tables if isinstance(table.get("name"), str)), "")
    return (name or _cfg_name(root / "setup.cfg") or root.name).lower().replace(".", "-")


def _cfg_name(path: Path) -> str:
    if not path.is_file():
        return ""
    import configparser
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        pass
    return parser.get("metadata", "name", fallback="")


def environments(root: Path) -> dict[str, Path]:
    """The environments of a project, by name."""
    return {path.stem: path for path in sorted((root / "deploy").glob("*.toml"))}


def environment(root: Path, name: str = "") -> Layer:
    """deploy/NAME.toml; with one file there, that one is the default."""
    known = environments(root)
    if not known:
        raise UsageError(f"{root / 'deploy'} has no environment", "write deploy/production.toml; see docs/reference/configuration.md")
    if not name and len(known) > 1:
        raise UsageError("which environment?", f"add --env NAME; known: {', '.join(known)}")
    name = name or next(iter(known))
    if name not in known:
        raise UsageError(f"no environment {name!r}{_guess(name, known)}", f"known: {', '.join(known)}")
    layer = check(known[name], read_toml(known[name]), ENVIRONMENT, "")
    layer.values["name"] = name
    return layer


def check(path: Path, table: dict[str, Any], keys: Iterable[Key], inside: str) -> Layer:
    """Every key known, every value of its type; defaults filled in. Raises one UsageError that lists all faults."""
    known = {key.name: key for key in keys}
    text = path.read_text(encoding="utf-8")
    given = dict(_flat(table, known))
    layer = Layer(path, {name: _default(key) for name, key in known.items()})
    faults = []
    for name, value in given.items():
        where = f"{path}:{_line(text, inside, name)}"
        if name not in known:
            faults.append(f"{where}: unknown key {name!r}{_guess(name, known)}")
        elif not _fits(known[name], value):
            faults.append(f"{where}: {name}: expected {_expected(known[name])}, got {value!r}{_meant(known[name], value)}")
        else:
            layer.values[name] = _value(path, known[name], value)
            layer.origins[name] = where
    if faults:
        odd = any(name not in known for name in given)
        raise UsageError("\n".join(faults), f"known keys: {', '.join(known)}" if odd else "correct it there; docs/reference/configuration.md has every key and what it takes")
    return layer


def _flat(table: dict[str, Any], known: dict[str, Key], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in table.items():
        dotted = prefix + name
        holds = any(other.startswith(dotted + ".") for other in known)
        if isinstance(value, dict) and (holds or dotted not in known) and value:
            yield from _flat(value, known, dotted + ".")
        else:
            yield dotted, value


def _default(key: Key) -> Any:
    return {} if key.kind == "table" else list(key.default) if isinstance(key.default, tuple) else key.default


def _fits(key: Key, value: Any) -> bool:
    if key.choices and value not in key.choices and value not in key.more():
        return False
    number = isinstance(value, int) and not isinstance(value, bool)
    lists = isinstance(value, list)
    return {
        "str": isinstance(value, str), "int": number and value >= 0, "bool": isinstance(value, bool),
        "float": (number or isinstance(value, float)) and value >= 0, "table": isinstance(value, dict),
        "list": lists and all(isinstance(v, str) or (key.name.endswith("doors") and isinstance(v, int)) for v in value),
        "texts": _texts(value) or isinstance(value, str) and bool(value), "vectors": lists and (_vector(value) or not value or all(map(_vector, value))),
        "waves": lists and bool(value) and all(re.fullmatch(r"[1-9]\d*|(100|[1-9]\d?)%", str(v)) for v in value),
        "share": number and value >= 0 or isinstance(value, str) and bool(re.fullmatch(r"(?:100|[1-9]?\d)%", value, re.ASCII)),
        "tables": lists and all(isinstance(v, dict) for v in value),
    }[key.kind]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) and each for each in value)


def _vector(value: Any) -> bool:
    """A command: at least its program's name, all strings."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value) and bool(value[0])


def _value(path: Path, key: Key, value: Any) -> Any:
    if key.kind == "vectors":
        return [value] if _vector(value) else value
    if key.kind == "texts":
        return [value] if isinstance(value, str) else value
    if key.kind == "share":
        return str(value)
    if key.kind == "waves":
        return [str(each) for each in value]
    if key.kind == "tables":
        return [_host(path, each, _nth(path, n)) for n, each in enumerate(value)]
    return value


def _host(path: Path, table: dict[str, Any], place: str) -> dict[str, Any]:
    """The values of one; what it says for itself is told by that line."""
    return {**check(path, table, HOST, "host").values, "line": place}


def _nth(path: Path, n: int) -> str:
    """file:line of the table."""
    heads = [number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if re.match(r"\s*\[\[\s*host\s*\]\]", line)]
    return f"{path}:{heads[n] if n < len(heads) else 1}"


def _expected(key: Key) -> str:
    if key.choices:
        return f"one of {', '.join([*key.choices, *sorted(key.more())])}"
    return {"str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false",
            "list": "a list of strings", "texts": "a string, or a list of strings", "vectors": 'a command such as ["make", "assets"], or a list of commands', "waves": "a list of hosts or percents such as [1, \"10%\", \"100%\"]",
            "share": 'a number of hosts, or a percentage such as "10%"', "table": "a table", "tables": "[[host]] tables"}[key.kind]


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _meant(key: Key, value: Any) -> str:
    return _guess(value, [*key.choices, *key.more()]) if key.choices and isinstance(value, str) else ""


def _line(text: str, inside: str, dotted: str) -> int:
    """The line a key stands in: its last part, inside its table where that can be told. 1 if not found."""
    parts = dotted.split(".")
    table, here, fallback = ".".join([*filter(None, [inside]), *parts[:-1]]), "", 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            here = header[1].replace('"', "")
            whole = ".".join(filter(None, [inside, dotted]))
            if here == whole or here.startswith(whole + "."):
                return number
        elif re.match(rf"\s*[\"']?{re.escape(parts[-1])}[\"']?\s*[=.]", line):
            if here == table:
                return number
            fallback = fallback or number
    return fallback or 1
