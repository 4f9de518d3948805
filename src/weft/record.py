"""What weft uses of `dataclasses`, made without writing a program for each class and compiling it.

Every command and every engine on a host defines some thirty records at its start, which took a third of that start. A record behaves as a dataclass
does, to `dataclasses.fields` and its like, too; type checkers are shown the real thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import asdict as asdict, dataclass as dataclass, field as field, replace as replace

_ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent"})()
_PLAIN = (str, int, float, bool, bytes, type(None))


class _Field:
    """What `field` says of one. default, factory: _ABSENT without one."""

    def __init__(self, default: Any = _ABSENT, default_factory: Any = _ABSENT, hash: bool | None = None, repr: bool = True):
        self.default, self.factory, self.hash, self.repr = default, default_factory, hash is not False, repr


def names(kind: type) -> tuple[str, ...]:
    """Of a record's fields, in their order."""
    return tuple(kind.__record__)  # type: ignore[attr-defined]


def _dataclass(cls: Any = None, *, frozen: bool = False) -> Any:
    """As `dataclasses.dataclass`; of its parameters weft uses this one."""
    if cls is None:
        return lambda made: _dataclass(made, frozen=frozen)
    fields: dict[str, _Field] = {}
    for name in getattr(cls, "__annotations__", ()):
        said = cls.__dict__.get(name, _ABSENT)
        fields[name] = said if isinstance(said, _Field) else _Field(said)
        if fields[name].default is not _ABSENT:
            setattr(cls, name, fields[name].default)
        elif said is not _ABSENT:
            delattr(cls, name)
    cls.__record__, cls.__match_args__, cls.__dataclass_fields__ = fields, tuple(fields), _Described(frozen)
    cls.__init__, cls.__repr__, cls.__eq__ = _init_of(cls, fields), _repr, _eq
    if frozen:
        hashed = tuple(name for name, each in fields.items() if each.hash)
        cls.__hash__ = lambda self: hash(tuple(getattr(self, name) for name in hashed))
        cls.__setattr__, cls.__delattr__ = _guard(cls, "assign to"), _guard(cls, "delete")
    else:
        cls.__hash__ = None
    return cls


def _init_of(cls: Any, fields: dict[str, _Field]) -> Any:
    order, after = tuple(fields), getattr(cls, "__post_init__", None)
    needed = sum(each.default is each.factory for each in fields.values())
    takes = f"from {needed + 1} to {len(order) + 1}" if needed < len(order) else str(len(order) + 1)

    def __init__(self: Any, *given: Any, **words: Any) -> None:
        if len(given) > len(order):
            raise TypeError(f"{cls.__qualname__}.__init__() takes {takes} positional arguments but {len(given) + 1} were given")
        values = dict(zip(order, given))
        for name, value in words.items():
            if name in values or name not in fields:
                raise TypeError(f"{cls.__qualname__}.__init__() got " + (f"multiple values for argument {name!r}" if name in fields
                                                                         else f"an unexpected keyword argument {name!r}"))
            values[name] = value
        self.__dict__.update({name: values[name] if name in values else _default(each) for name, each in fields.items()})
        if absent := [name for name in order if self.__dict__[name] is _ABSENT]:
            raise TypeError(_lacking(cls, absent))
        if after:
            after(self)
    return __init__


def _default(each: _Field) -> Any:
    return each.default if each.factory is _ABSENT else each.factory()


def _lacking(cls: Any, absent: list[str]) -> str:
    """As Python itself says it."""
    shown = [repr(name) for name in absent]
    listed = shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + ("," if len(shown) > 2 else "") + f" and {shown[-1]}"
    return f"{cls.__qualname__}.__init__() missing {len(shown)} required positional argument{'s' if len(shown) > 1 else ''}: {listed}"


def _repr(self: Any) -> str:
    said = ", ".join(f"{name}={getattr(self, name)!r}" for name, each in self.__record__.items() if each.repr)
    return f"{type(self).__qualname__}({said})"


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self.__record__)


def _guard(cls: Any, what: str) -> Any:
    """__setattr__ or __delattr__ of a frozen one."""
    def refuse(self: Any, name: str, *value: Any) -> None:
        if type(self) is cls or name in cls.__record__:
            from dataclasses import FrozenInstanceError
            raise FrozenInstanceError(f"cannot {what} field {name!r}")
        (object.__setattr__ if value else object.__delattr__)(self, name, *value)
    return refuse


class _Described:
    """`__dataclass_fields__`, made of the real ones when somebody asks."""

    def __init__(self, frozen: bool):
        self.frozen = frozen

    def __get__(self, made: Any, cls: Any) -> Any:
        import dataclasses
        said = [(name, cls.__annotations__[name], _described(each)) for name, each in cls.__record__.items()]
        found = dataclasses.make_dataclass(cls.__name__, said, frozen=self.frozen).__dataclass_fields__
        cls.__dataclass_fields__ = found
        return found


def _described(each: _Field) -> Any:
    import dataclasses
    words = {"hash": None if each.hash else False, "repr": each.repr}
    if each.factory is not _ABSENT:
        return dataclasses.field(default_factory=each.factory, **words)
    return dataclasses.field(**words) if each.default is _ABSENT else dataclasses.field(default=each.default, **words)


def _asdict(said: Any) -> Any:
    """As `dataclasses.asdict`: records in it are taken apart, too, all else is copied."""
    if isinstance(said, _PLAIN):
        return said if type(said) in _PLAIN else _copied(said)
    if hasattr(type(said), "__record__"):
        return {name: _asdict(getattr(said, name)) for name in said.__record__}
    if isinstance(said, (list, tuple)):
        parts = [_asdict(each) for each in said]
        return type(said)(*parts) if hasattr(said, "_fields") else type(said)(parts)
    if isinstance(said, dict):
        return type(said)((_asdict(key), _asdict(value)) for key, value in said.items())
    return _copied(said)


def _copied(said: Any) -> Any:
    import copy
    return copy.deepcopy(said)


def _replace(said: Any, **changes: Any) -> Any:
    """As `dataclasses.replace`."""
    return type(said)(**{**{name: getattr(said, name) for name in said.__record__}, **changes})


if not TYPE_CHECKING:
    asdict, dataclass, field, replace = _asdict, _dataclass, _Field, _replace
