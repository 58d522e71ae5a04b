"""Random workflow programs whose outcome does not depend on time or on who is faster.

A seed gives a program (see ``program.py``) and what is done to its instance from outside.  It may
call, retry, fail, catch, fan out, wait for what surely comes first, send itself events, have
children to a depth of two, and continue as new; all results go into one list, which is the output.
So any two engines that keep the rules give the same outcome, and so does one that was killed in
the middle.

A play asks only for what an SDK has (``lacks``: the features of ``sdks.py`` that it has not).  When
the engine is to be killed nothing counts executions: an activity may then run again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from conformance.program import (
    Program,
    Step,
    activity,
    add,
    again,
    append,
    attempt,
    call,
    child,
    do,
    event,
    fail,
    give,
    length,
    loop,
    now,
    retry,
    send,
    status,
    task,
    timer,
    timer_at,
    uuid,
    var,
    wait,
    wait_all,
    wait_any,
    when,
)

DEPTH: Final = 2  # of children
_NEVER: Final = 3_600_000  # milliseconds
_VALUES: Final = (
    None,
    True,
    0,
    -7,
    2**53 - 1,
    1.5,
    "",
    "text",
    'žluťoučký 🐎\n\t"\\',
    [],
    [1, [2, [3]], {"deep": {"er": None}}],
    {"a": 1, "": "empty key", "ключ": [False]},
    "x" * 3_000,
)


@dataclass(frozen=True)
class Play:
    """What is played: the program, events raised at once from outside, and whether it is suspended
    and resumed while it runs."""

    seed: int
    program: Program
    raised: tuple[tuple[str, Any], ...]
    suspended: bool


def play(seed: int, *, lacks: Collection[str] = (), counted: bool = True) -> Play:
    """The play of a seed, without what is lacking, and without what counts unless ``counted``."""
    rng = random.Random(seed)
    author = Author(rng, lacks=frozenset(lacks), counted=counted)
    raised = author.raised()
    # Events of one name come in order; those of two names are taken in any.
    steps = author.body(DEPTH, first=[author.taken(name) for name, _ in raised])
    return Play(seed, steps, raised, suspended=rng.random() < 0.3)


class Author:
    """Writes programs; ``rng`` makes all choices."""

    def __init__(self, rng: random.Random, *, lacks: frozenset[str], counted: bool) -> None:
        self._rng = rng
        self._lacks = lacks
        self._counted = counted
        self._number = 0
        self._nameless = False  # what is written does not know its id

    def raised(self) -> tuple[tuple[str, Any], ...]:
        """Events from outside."""
        count = self._rng.choice((0, 0, 1, 4))
        return tuple((f"outer{i % 2}", self._payload()) for i in range(count))

    def taken(self, name: str) -> Program:
        """Wait for an event."""
        return [*do(event(self._cased(name)), "got"), append("log", var("got"))]

    def body(self, depth: int, *, first: Sequence[Program] = ()) -> Program:
        """A whole program: its steps, its generations, its end.

        A generation that follows does not repeat ``first``, what comes once; it hands an event on to
        the next one, and sets no custom status, for engines differ in whether that outlives it.
        """
        rng = self._rng
        generations = 0 if first else rng.choice((0, 0, 0, 1, 3))
        parts = [
            *first,
            *(self._part(depth, once=not generations) for _ in range(rng.randint(1, 5))),
        ]
        rng.shuffle(parts)
        steps = [step for part in parts for step in part]
        if generations:
            steps = self._generations(steps, generations)
        return [*steps, self._end()]

    def _generations(self, steps: Program, count: int) -> Program:
        fresh = {
            "round": add(var("round"), 1),
            "log": [length(var("log"))],
            "base": add(var("base"), "+"),
            "self": var("self"),
        }
        carried: Program = [send(var("self"), "carried", add(var("round"), 1))]
        if self._nameless or self._lacks & {"send-event", "ordered-carryover"}:
            return [*steps, when(var("round"), "<", count, [again(fresh)])]
        # The call sees to it that the event is there when the generation ends.
        carried += call("echo", "on its way")
        return [
            when(0, "<", var("round"), self.taken("carried")),
            *steps,
            when(var("round"), "<", count, [*carried, again(fresh, keep_events=True)]),
        ]

    def _end(self) -> Step:
        chance = self._rng.random()
        if chance < 0.1:
            return fail(add("ended by ", "design"))
        return give({"log": var("log"), "more": self._value()} if chance < 0.9 else var("log"))

    def _part(self, depth: int, *, once: bool) -> Program:
        has = self._has
        kinds: list[tuple[Callable[[int], Program], bool]] = [
            (self._call, True),
            (self._caught, True),
            (self._looped, True),
            (self._fan_out, True),
            (self._first, has("first-of")),
            (self._pause, True),
            (self._clock, has("uuid")),
            (self._status, once),
            (self._retried, has("retry")),
            (self._flaky, has("retry") and self._counted),
            (self._letters, has("send-event") and not self._nameless),
            (self._late_letter, has("send-event") and not self._nameless),
            (self._child, depth > 0),
            (self._child, depth > 0),
            (self._retried_child, depth > 0 and has("retry") and self._counted),
        ]
        return self._rng.choice([kind for kind, possible in kinds if possible])(depth)

    # --- parts --------------------------------------------------------------------------------

    def _call(self, _depth: int) -> Program:
        name = self._rng.choice(("echo", "echo", "nothing", "blob"))
        value = self._rng.choice((0, 10, 70_000)) if name == "blob" else self._value()
        seen = length(var("got")) if name == "blob" else var("got")
        return [*call(name, value, "got"), append("log", seen)]

    def _flaky(self, _depth: int) -> Program:
        failures, attempts = self._rng.randint(0, 3), self._rng.randint(1, 3)
        value = {"key": self._key(), "failures": failures}
        policy = retry(attempts, backoff=self._rng.choice((1.0, 2.0)))
        return self._noted(call("flaky", value, "got", retry=policy))

    def _retried(self, _depth: int) -> Program:
        policy = retry(self._rng.randint(1, 3))
        return self._noted(call("boom", "again and again", "got", retry=policy))

    def _caught(self, _depth: int) -> Program:
        name = self._rng.choice(("boom", "boom_chained")) if self._has("inner-failure") else "boom"
        return self._noted(call(name, f"said {self._rng.randint(0, 9)}", "got"))

    def _fan_out(self, depth: int) -> Program:
        group = self._name()
        starts: Program = []
        for _ in range(self._rng.choice((0, 1, 2, 5, 17))):
            starts.append(task(self._quick(depth), push=group))
        if not starts:
            return [append("log", "no branches")]
        if self._rng.random() < 0.2 and self._has("fan-in-after-failure"):
            starts.append(task(activity("boom", "one of many"), push=group))
        self._rng.shuffle(starts)
        return [*starts, *self._noted([wait_all(group, "got")])]

    def _first(self, depth: int) -> Program:
        quick, never = self._name(), self._name()
        slow = self._rng.choice((timer(_NEVER), event(f"never{self._number}")))
        order = [quick, never] if self._rng.random() < 0.5 else [never, quick]
        return [
            task(self._quick(depth), quick),
            task(slow, never),
            wait_any(order, "got"),
            append("log", var("got")),
            *([wait(quick, "got"), append("log", var("got"))]),
        ]

    def _pause(self, _depth: int) -> Program:
        return [
            *do(self._rng.choice((timer(1), timer(30), timer_at(0), timer_at(20)))),
            append("log", "later"),
        ]

    def _letters(self, _depth: int) -> Program:
        """Events to itself: kept until they are waited for, in order, names in any case."""
        name = f"letter{self._number}"
        self._number += 1
        count = self._rng.randint(1, 4)
        steps: Program = [send(var("self"), self._cased(name), i) for i in range(count)]
        if self._rng.random() < 0.5:
            steps += call("echo", "between")
        return [*steps, *(step for _ in range(count) for step in self.taken(name))]

    def _late_letter(self, _depth: int) -> Program:
        """The wait begins before the event is sent."""
        name, waiting = f"late{self._number}", self._name()
        return [
            task(event(name), waiting),
            *call("echo", 1),
            send(var("self"), name, self._payload()),
            wait(waiting, "got"),
            append("log", var("got")),
        ]

    def _looped(self, _depth: int) -> Program:
        body = [*call("echo", var("i"), "got"), append("log", var("got"))]
        return [loop(self._rng.randint(0, 4), body)]

    def _status(self, _depth: int) -> Program:
        value = self._payload() if self._has("object-status") else "a text"
        return [status(value), append("log", "told")]

    def _clock(self, _depth: int) -> Program:
        return [
            now("before"),
            uuid("one"),
            *call("echo", var("one"), "two"),
            now("after"),
            when(var("one"), "==", var("two"), [append("log", length(var("one")))]),
            when(var("after"), "<", var("before"), [append("log", "time went backwards")]),
        ]

    def _child(self, depth: int) -> Program:
        return self._noted(do(self._born(depth), "got"))

    def _retried_child(self, depth: int) -> Program:
        """A child that fails as often as its activity does."""
        failures, attempts = self._rng.randint(0, 2), self._rng.randint(1, 3)
        body = [
            *call("flaky", {"key": self._key(), "failures": failures}, "got"),
            give(var("got")),
        ]
        what = child(body, vars={"base": var("base")}, retry=retry(attempts))
        return self._noted(do(what, "got"))

    # --- parts of parts -----------------------------------------------------------------------

    def _born(self, depth: int) -> Step:
        """A child, which knows its id when that was given to it."""
        self._number += 1
        base = add(var("base"), f"-{self._number}")
        variables = {"base": base, "log": [], "round": 0}
        if self._rng.random() < 0.5:
            body = self.body(depth - 1)
            return child(body, vars={**variables, "self": base}, id=base)
        nameless, self._nameless = self._nameless, True
        body = self.body(depth - 1)
        self._nameless = nameless
        return child(body, vars=variables)

    def _quick(self, depth: int) -> Step:
        """Something that surely comes, and does not fail."""
        chance = self._rng.random()
        if depth and chance < 0.2:
            body = [*call("echo", self._value(), "got"), give(var("got"))]
            return child(body, vars={})
        if chance < 0.3:
            return timer(self._rng.choice((1, 15)))
        return activity("echo", self._value())

    def _noted(self, body: Program) -> Program:
        """The result, or how it failed."""
        caught = [append("log", ["caught", var("error", "type"), var("error", "message")])]
        return [attempt([*body, append("log", var("got"))], caught)]

    def _value(self) -> Any:
        return self._rng.choice(_VALUES)

    def _payload(self) -> Any:
        """What an event or a custom status carries."""
        values = [one for one in _VALUES if one or self._has("falsy-payloads")]
        return self._rng.choice(values)

    def _name(self) -> str:
        self._number += 1
        return f"t{self._number}"

    def _key(self) -> dict[str, Any]:
        return add(var("base"), f"/{self._name()}")

    def _cased(self, name: str) -> str:
        known = (name, name.upper(), name.title()) if self._has("event-case") else (name,)
        return self._rng.choice(known)

    def _has(self, feature: str) -> bool:
        return feature not in self._lacks
