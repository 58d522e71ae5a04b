"""From a pod's annotations to ``Options``: what was asked for, what was wrong, what was meant.

Three outcomes for each annotation that is ours.  A known name with a value that fits becomes an
option.  A known name with a value that does not fit is a *problem*: the pod must not run with a
default that its author overrode.  An unknown name is a *note* with the nearest name: it may be of a
newer version, so it stops nothing, but somebody must see it.

With compatibility on, Dapr's annotations count too, behind ours (``dapr.py`` has the table).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec

from tenure_common import names
from tenure_injector import dapr
from tenure_injector.options import PREFIX, Options

MOST_NAMED: Final = 16  # names that mean nothing, of those of one kind on a pod
_LONGEST_SHOWN: Final = 80  # characters of a bad value that a message repeats
_NOT_OPTIONS: Final = frozenset({names.ANNOTATION_INJECTED})


class Parsed(NamedTuple):
    """The options of a pod, and one sentence for each thing that is wrong or odd."""

    options: Options
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Kind(NamedTuple):
    """How the text of one annotation becomes its value."""

    type: Any  # without None
    parse: Callable[[str], object] | None = None
    form: str | None = None  # what a text must look like, in words


def _kind(declared: Any) -> _Kind:  # noqa: ANN401 - a type, as typing hands it out
    union = get_args(declared)[0]  # Annotated[X | None, description]
    kind = next(one for one in get_args(union) if one is not NoneType)
    if get_origin(kind) is not Annotated:
        return _Kind(kind)
    extras: dict[str, Any] = {}
    for meta in get_args(kind)[1:]:
        extras |= meta.extra or {}
    return _Kind(kind, extras.get("parse"), extras.get("form"))


KINDS: Final[Mapping[str, _Kind]] = {
    f"{PREFIX}{field.name.replace('_', '-')}": _kind(field.type)
    for field in msgspec.structs.fields(Options)
}

_KNOWN: Final = KINDS.keys() | _NOT_OPTIONS


def parse(annotations: Mapping[str, str], *, compat: bool) -> Parsed:
    """Read all annotations of a pod.

    Args:
        annotations: of the pod.
        compat: whether ``dapr.io/`` annotations count.
    """
    given: dict[str, tuple[str, str]] = {}  # our name -> where it stands, its text
    problems: list[str] = []
    notes: list[str] = []
    if compat:
        theirs = [name for name in annotations if name.startswith(dapr.PREFIX)]
        for name in filter(dapr.is_known, theirs):
            translated = dapr.translate(name, annotations[name])
            given |= {ours: (name, value) for ours, value in translated.options.items()}
            notes += translated.notes
        notes += named([name for name in theirs if not dapr.is_known(name)], dapr.unknown)
    given |= {name: (name, text) for name, text in annotations.items() if name in KINDS}
    notes += named([n for n in annotations if n.startswith(PREFIX) and n not in _KNOWN], unknown)
    values: dict[str, object] = {}
    for name, (where, text) in given.items():
        try:
            values[_field(name)] = _value(KINDS[name], text.strip())
        except ValueError as error:
            problems.append(f"annotation {where}: '{text[:_LONGEST_SHOWN]}' will not do: {error}")
    return Parsed(Options(**values), tuple(problems), tuple(notes))  # type: ignore[arg-type]


def _field(name: str) -> str:
    return name.removeprefix(PREFIX).replace("-", "_")


def _value(kind: _Kind, text: str) -> object:
    if kind.parse is not None:
        return kind.parse(text)
    try:
        return msgspec.convert(text, kind.type, strict=False)
    except msgspec.ValidationError as error:
        message = f"it must be {_wanted(kind, str(error))}"
        raise ValueError(message) from error


def _wanted(kind: _Kind, text: str) -> str:
    if kind.form is not None:
        return kind.form
    if get_origin(kind.type) is Literal:
        return f"one of {', '.join(get_args(kind.type))}"
    if kind.type is bool:
        return "true or false"
    bound = re.search(r"[<>]= \d+", text)
    return bound[0] if bound else "a whole number"


def named(
    names: Sequence[str], say: Callable[[str], str], what: str = "annotations"
) -> Iterator[str]:
    """A sentence about each of the first names, and one about all others.

    Nobody reads a thousand, and looking for the nearest name takes a while in which other reviews
    wait.
    """
    yield from map(say, names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        yield f"{len(names) - MOST_NAMED} more {what} are not known and have no effect"


def unknown(name: str, what: str = "annotation", *, among: Iterable[str] = KINDS) -> str:
    """A sentence about a name that means nothing, with the one ``among`` others that is nearest."""
    short = [one.removeprefix(PREFIX) for one in among]
    close = difflib.get_close_matches(name.removeprefix(PREFIX), short, n=1, cutoff=0.6)
    hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
    return f"{what} {name} is not known and has no effect{hint}"
