"""Records beside the dataclasses that they stand for: the same in all that weft and its tests do with them."""

import copy
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weft import record


def kinds(of):
    """The same two classes made by each."""
    @of.dataclass(frozen=True)
    class Point:
        x: int
        y: int = 0
        tags: Any = of.field(default_factory=dict, hash=False)
        key: str = of.field(default="k", repr=False)

        @property
        def both(self):
            return self.x, self.y

    @of.dataclass
    class Line:
        points: Any
        named: Any = of.field(default_factory=list)

        def __post_init__(self):
            self.points = tuple(self.points)

    return Point, Line


OURS, THEIRS = kinds(record), kinds(dataclasses)


def same(what, error=None):
    """Of both kinds, or the same error."""
    said = []
    for point, line in (OURS, THEIRS):
        try:
            said.append(what(point, line))
        except (TypeError, AttributeError) as found:
            said.append((type(found), str(found)))
    assert said[0] == said[1]
    assert isinstance(said[0], tuple) and said[0][0] is error if error else not (isinstance(said[0], tuple) and isinstance(said[0][0], type))
    return said[0]


def test_making_showing_comparing_and_hashing():
    same(lambda point, line: repr(line([point(1), point(2, 3, {"a": 1}, key="z")], named=[4])))
    same(lambda point, line: (point(1) == point(1), point(1) == point(2), point(1) == 1, point(1) != point(1, 0), line([1]) == line((1,))))
    same(lambda point, line: hash(point(1, 2, {"unhashable": []})))
    same(lambda point, line: (point(1).both, point.y, hasattr(point, "tags"), point(1).tags is point(1).tags, point.__match_args__))
    same(lambda point, line: copy.deepcopy(line([point(1)])).points[0].both)


@pytest.mark.parametrize("wrong", [
    lambda point, line: point(), lambda point, line: point(1, z=2), lambda point, line: point(1, x=2), lambda point, line: point(1, 2, 3, 4, 5),
    lambda point, line: hash(line([]))])
def test_what_cannot_be_made_is_told_as_python_tells_it(wrong):
    same(wrong, TypeError)


def test_more_than_one_missing_is_told_too():
    for count in (2, 3):
        told = []
        for of in (record, dataclasses):
            made = of.dataclass(type("Made", (), {"__annotations__": {f"n{n}": "int" for n in range(count)}}))
            with pytest.raises(TypeError) as caught:
                made()
            told.append(str(caught.value))
        assert told[0] == told[1]


@pytest.mark.parametrize("name", ["x", "other"])
def test_a_frozen_one_is_not_changed(name):
    same(lambda point, line: setattr(point(1), name, 2), dataclasses.FrozenInstanceError)
    same(lambda point, line: delattr(point(1), name), dataclasses.FrozenInstanceError)


def test_replace_and_asdict():
    same(lambda point, line: repr(record.replace(point(1), y=5)) if point is OURS[0] else repr(dataclasses.replace(point(1), y=5)))
    inner = {"list": [1, (2, 3)], "none": None}
    ours, theirs = ((record if point is OURS[0] else dataclasses).asdict(line([point(1, tags=inner)], {"a": {7}})) for point, line in (OURS, THEIRS))
    assert ours == theirs and ours["points"][0]["tags"] is not inner and ours["points"][0]["tags"]["list"] is not inner["list"]
    with pytest.raises(TypeError):
        record.replace(OURS[0](1), z=1)


def test_dataclasses_own_functions_know_them():
    same(lambda point, line: dataclasses.asdict(dataclasses.replace(line([point(1)]), named=[2])))
    same(lambda point, line: [(each.name, each.type, each.default, each.default_factory, each.hash, each.repr) for each in dataclasses.fields(point)]
         if dataclasses.is_dataclass(point) else [])
    assert record.names(OURS[0]) == ("x", "y", "tags", "key")


def test_the_engine_starts_without_what_makes_dataclasses():
    source = str(Path(record.__file__).parents[1])
    said = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {source!r}); import weft.host.__main__; print({{'dataclasses', 'inspect'}} & set(sys.modules))"],
                          capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
