"""The shape of the code, held: floors, sizes, what travels to hosts, and where side effects may be."""

import ast
import re
import statistics
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "weft"
FLOORS = [
    {"__init__", "typing"}, {"errors", "record"}, {"plan", "secret", "adapters"}, {"values", "config", "durable", "signing", "openssh"}, {"journal", "apply", "servers", "stores", "index"},
    {"simple"}, {"host", "release"}, {"rollout"}, {"tasks", "web", "testing", "new", "cli", "__main__", "demo", "develop", "haproxy"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Python files that are shipped as data: they are written to a host or a project and never imported by weft.
SHIPPED = {SOURCE / "servers" / "entry.py", SOURCE / "servers" / "passenger_entry.py", SOURCE / "develop" / "entry.py"}
TRAVELS = ["typing.py", "errors.py", "record.py", "plan.py", "secret.py", "adapters.py", "values.py", "durable.py", "signing.py", "index.py", "journal.py", "apply.py", "config/__init__.py", "config/ini.py",
           "servers", "host"]


def files():
    return [p for p in sorted(SOURCE.rglob("*.py")) if "skeleton" not in p.parts]


def room(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path):
    """(room, module, top level?) for each import of weft's own in a file."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "weft":
            if node.module == "weft":
                yield from ((alias.name, f"weft.{alias.name}") for alias in node.names)
            else:
                yield node.module.split(".")[1], node.module
        elif isinstance(node, ast.Import):
            yield from ((a.name.split(".")[1] if "." in a.name else "__init__", a.name)
                        for a in node.names if a.name.split(".")[0] == "weft")


def test_every_room_has_a_floor():
    assert {room(p) for p in files()} <= set(FLOOR), "name the new room's floor here and in ARCHITECTURE.md"


def test_imports_go_down_only():
    wrong = []
    for path in files():
        for target, module in imports(path):
            if target == "__version__":
                continue
            if target != room(path) and FLOOR[target] >= FLOOR[room(path)] and not (FLOOR[target] == len(FLOORS) - 1 == FLOOR[room(path)]):
                wrong.append(f"{path.relative_to(SOURCE)} imports {module}")
    assert wrong == []


def test_files_and_functions_stay_small():
    large, lengths = [], []
    for path in files():
        text = path.read_text()
        if text.count("\n") > 300:
            large.append(f"{path.relative_to(SOURCE)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = node.end_lineno - node.lineno + 1
                lengths.append(length)
                if length > 32:
                    large.append(f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}: {length} lines")
    assert large == []
    assert statistics.median(lengths) <= 10


def test_what_travels_to_hosts_is_standard_library_and_python_3_9():
    import sys
    paths = [q for t in TRAVELS for q in (sorted((SOURCE / t).rglob("*.py")) if (SOURCE / t).is_dir() else [SOURCE / t])]
    assert len(paths) > 20
    for path in paths:
        tree = ast.parse(path.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else \
                [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names | {"weft", "mod_wsgi"}, f"{path}: {name}"
        if path not in SHIPPED:
            assert "from __future__ import annotations" in path.read_text() or not annotated(tree), path


def annotated(tree):
    return any(isinstance(n, ast.AnnAssign) or getattr(n, "returns", None) or getattr(n, "annotation", None)
               for n in ast.walk(tree))


def test_nothing_imports_the_project_around_the_package():
    for path in files():
        assert not re.search(r"^\s*(from|import) (deploy|wsgi|etc|tests)\b", path.read_text(), re.M), path


def test_no_import_cycles():
    graph = {}
    for path in files():
        name = "weft." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        graph[name] = {m for _, m in _top_level(path)}
    for start in graph:
        assert start not in _reach(graph, start), f"{start} imports itself in a circle"


def _top_level(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("weft"):
            yield None, node.module
            for alias in node.names:
                yield None, f"{node.module}.{alias.name}"


def _reach(graph, start):
    seen, todo = set(), list(graph[start])
    while todo:
        at = todo.pop()
        if at in graph and at not in seen:
            seen.add(at)
            todo.extend(graph[at])
    return seen


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "X" * 3, "raise NotImplemented" + "Error"])
def test_no_unfinished_marks(word):
    assert [p for p in files() if re.search(rf"\b{word}\b", p.read_text())] == []
