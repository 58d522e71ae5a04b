"""The runner of the layers: counts, missing programs, limits, lanes, the last line.

Out of scope: the real layers (running them is their test).  Layers here are made of small Python
programs; the only limit that a test waits for is that of a program that never ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import run as runner
from run import Check, Layer, Need, Result, Suite

PYTHON = "python"


def script(code: str) -> tuple[str, ...]:
    return (PYTHON, "-c", code)


PASSES = Check("passes", script(""))
FAILS = Check("fails", script("raise SystemExit(3)"))


@pytest.fixture
def tests_in(tmp_path: Path) -> Callable[[str], Suite]:
    """Write a test module; returns the step that runs it."""

    def write(code: str) -> Suite:
        path = tmp_path / "test_sample.py"
        path.write_text(code, encoding="utf-8")
        (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        # The plugins for generated tests take longer to import than the samples to run.
        without = ("cacheprovider", "schemathesis", "hypothesispytest")
        arguments = [word for plugin in without for word in ("-p", f"no:{plugin}")]
        return Suite("sample tests", (*arguments, "-c", str(tmp_path / "pytest.ini"), str(path)))

    return write


def came_to(result: Result) -> tuple[int, int, int]:
    return result.passed, result.failed, result.skipped


def run_steps(*steps: Check | Suite, strict: bool = False, limit: int = 60) -> Result:
    return runner.run_layer(Layer("sample", "samples", steps, limit=limit), strict=strict)


def test_programs_keep_what_they_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    told = Check("told", script("import sys; sys.exit(sys.dont_write_bytecode)"))
    assert came_to(run_steps(told)) == (1, 0, 0)


def test_checks_are_counted() -> None:
    result = run_steps(PASSES, FAILS, PASSES)
    assert came_to(result) == (2, 1, 0)
    assert result.problems == ["fails: failed"]


MIXED = """
import pytest
def test_a(): pass
def test_b(): pass
def test_c(): assert False
@pytest.mark.skip
def test_d(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_e(broken): pass
"""


def test_tests_are_counted(tests_in: Callable[[str], Suite]) -> None:
    assert came_to(run_steps(tests_in(MIXED))) == (2, 2, 1)


def test_a_skip_is_a_failure_when_strict(tests_in: Callable[[str], Suite]) -> None:
    step = tests_in("import pytest\n@pytest.mark.skip\ndef test_a(): pass\n")
    assert came_to(run_steps(step)) == (0, 0, 1)
    result = run_steps(step, strict=True)
    assert came_to(result) == (0, 1, 0)
    assert "1 skipped, and CI=true allows none" in result.problems[0]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="nothing-collected"),
        pytest.param("import nowhere_to_be_found", id="import-error"),
        pytest.param("import os; os._exit(9)", id="process-dies"),
        pytest.param("def test_a(): import os; os._exit(0)", id="dies-with-exit-code-0"),
    ],
)
def test_a_run_without_results_fails(tests_in: Callable[[str], Suite], code: str) -> None:
    assert run_steps(tests_in(code)).failed == 1


def test_a_step_that_hangs_is_ended_at_the_limit_with_its_children() -> None:
    endless = script(
        "import subprocess, sys, signal;"
        "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        "signal.pause()"
    )
    result = run_steps(Check("endless", endless), PASSES, limit=1)
    assert came_to(result) == (1, 1, 0)
    assert result.problems == ["endless: not done after 1 s"]


MISSING = Need("no-such-program", "Nothing")


@pytest.mark.parametrize(
    ("need", "says"),
    [
        pytest.param(Need(PYTHON, "Python"), None, id="there"),
        pytest.param(Need(PYTHON, "Python", 3, ("--version",)), None, id="new-enough"),
        pytest.param(
            Need(PYTHON, "Python", 99, ("--version",)),
            "python is 3: install Python >= 99",
            id="too-old",
        ),
        pytest.param(
            Need(PYTHON, "Python", 3, ("-c", "")),
            "python is of an unknown version: install Python >= 3",
            id="says-nothing",
        ),
        pytest.param(MISSING, "no-such-program not found: install Nothing", id="missing"),
        pytest.param(
            Need("no-such-program", "Nothing", 20, ("--version",)),
            "no-such-program not found: install Nothing >= 20",
            id="missing-with-version",
        ),
    ],
)
def test_need(need: Need, says: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert need.missing() == says


@pytest.mark.parametrize(
    ("need", "prints", "says"),
    [
        pytest.param(runner.NODE, "v20.20.2", None, id="node"),
        pytest.param(runner.GO, "go version go1.26.4 linux/amd64", None, id="go"),
        pytest.param(runner.NODE, "v18.1.0", "node is 18: install Node.js >= 20", id="old-node"),
        pytest.param(runner.JAVA, 'openjdk version "17.0.15" 2025-04-15', None, id="java"),
        pytest.param(runner.JAVA, 'openjdk version "21" 2023-09-19', None, id="java-without-dots"),
        pytest.param(
            runner.JAVA,
            'Picked up JAVA_TOOL_OPTIONS: -Xmx99m\njava version "1.8.0_402"',
            "java is 1: install a JDK >= 17",
            id="old-java",
        ),
        pytest.param(
            runner.MAVEN, "\x1b[1mApache Maven 3.8.7\x1b[m\nJava version: 17", None, id="maven"
        ),
    ],
)
def test_what_the_real_programs_print_is_understood(
    need: Need, prints: str, says: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / need.program
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{prints}\nEND\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert need.missing() == says


def test_a_missing_program_fails_its_layer_and_runs_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    layer = Layer("sample", "samples", (PASSES,), needs=(MISSING,))
    result = runner.run_layer(layer, strict=False)
    assert came_to(result) == (0, 1, 0)
    assert "no-such-program not found" in capsys.readouterr().out


def layers(*names: str, steps: Sequence[Check] = (PASSES,)) -> tuple[Layer, ...]:
    return tuple(Layer(name, "samples", steps) for name in names)


@pytest.mark.parametrize(
    ("argv", "steps", "code", "last"),
    [
        pytest.param([], (PASSES,), 0, "2 passed, 0 failed", id="all"),
        pytest.param(["a"], (PASSES,), 0, "1 passed, 0 failed", id="one-layer"),
        pytest.param([], (PASSES, FAILS), 1, "2 passed, 2 failed", id="sum-over-layers"),
        pytest.param(["c"], (PASSES,), 2, "no layer c; there are: a b", id="unknown-layer"),
    ],
)
def test_last_line(
    argv: list[str],
    steps: Sequence[Check],
    code: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runner, "LAYERS", layers("a", "b", steps=steps))
    assert runner.main(argv, {}) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run ``main`` with a layer for each step: ``a``, ``b``, ..., in the lanes that are given."""

    def run_all(*steps: Check, beside: str, alone: str = "") -> int:
        made = tuple(
            Layer(name, "samples", (step,)) for name, step in zip("abc", steps, strict=False)
        )
        monkeypatch.setattr(runner, "LAYERS", made)
        monkeypatch.setattr(runner, "BESIDE", tuple(beside))
        monkeypatch.setattr(runner, "ALONE", tuple(alone))
        return runner.main([], {})

    return run_all


def pipes(folder: Path, *names: str) -> list[Path]:
    """Named pipes: to open one end takes until somebody opens the other."""
    made = [folder / name for name in names]
    for one in made:
        os.mkfifo(one)
    return made


def test_lanes_run_side_by_side_and_each_output_is_in_one_piece(
    lanes: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begun, over = pipes(tmp_path, "begun", "over")
    first = f"print('a-1', flush=True); open({str(begun)!r}, 'w'); open({str(over)!r}).read()"
    second = f"print('c-1', flush=True); open({str(begun)!r}).read(); open({str(over)!r}, 'w')"
    checks = [
        Check("first", script(f"{first}; print('a-2')")),
        Check("next", script("print('b-1')")),
        Check("second", script(f"{second}; print('c-2')")),
    ]
    assert lanes(*checks, beside="c") == 0
    said = capfd.readouterr().out.splitlines()
    shown = [one for one in said if one[:2] in {"a-", "b-", "c-"}]
    assert sorted(shown) == ["a-1", "a-2", "b-1", "c-1", "c-2"]
    for before, after in (("a-1", "a-2"), ("c-1", "c-2")):
        assert shown.index(after) == shown.index(before) + 1
    rows = [one.split()[0] for one in said if " ok " in one]
    assert rows == ["a", "b", "c"], "the table is in the order of the layers"
    assert said[-1] == "3 passed, 0 failed"


def test_what_fails_in_another_lane_fails_the_run(
    lanes: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert lanes(PASSES, FAILS, beside="b") == 1
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_a_layer_that_needs_the_machine_for_itself_waits_for_the_other_lanes(
    lanes: Callable[..., int], tmp_path: Path
) -> None:
    (begun,) = pipes(tmp_path, "begun")
    over = tmp_path / "over"
    again = "subprocess.run([sys.executable, '-c', ''])"  # takes as long as the last layer's check
    checks = [
        Check("first", script(f"open({str(begun)!r}, 'w')")),
        Check(
            "beside",
            script(
                "import pathlib, subprocess, sys;"
                f"open({str(begun)!r}).read(); {again}; {again}; {again};"
                f"pathlib.Path({str(over)!r}).touch()"
            ),
        ),
        Check("alone", script(f"import pathlib; assert pathlib.Path({str(over)!r}).exists()")),
    ]
    assert lanes(*checks, beside="b", alone="c") == 0


ENDLESS = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs behind itself ignores it
sys.path.insert(0, {tests!r})
import run as runner
from run import Check, Layer
wait = ("python", "-c", {program!r})
runner.LAYERS = tuple(Layer(name, "", (Check(name, wait),)) for name in "ab")
runner.BESIDE, runner.ALONE = ("b",), ()
runner.main([], {{}})
"""


def test_an_interrupt_ends_the_programs_of_all_lanes(tmp_path: Path) -> None:
    (alive,) = pipes(tmp_path, "alive")
    program = f"import signal; held = open({str(alive)!r}, 'w'); held.write('x'); held.flush()"
    code = ENDLESS.format(tests=str(runner.ROOT / "tests"), program=f"{program}; signal.pause()")
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with alive.open() as both:
            assert both.read(2) == "xx", "both lanes run"
            running.send_signal(signal.SIGINT)
            assert both.read() == "", "its end comes when nobody holds the pipe any more"
        assert running.wait(timeout=60) != 0
    finally:
        running.kill()
        running.wait()


def test_ci_is_strict(tests_in: Callable[[str], Suite], monkeypatch: pytest.MonkeyPatch) -> None:
    step = tests_in("import pytest\n@pytest.mark.skip\ndef test_a(): pass\n")
    monkeypatch.setattr(runner, "LAYERS", (Layer("a", "samples", (step,)),))
    assert runner.main([], {}) == 0
    assert runner.main([], {"CI": "true"}) == 1


def test_table_names_what_failed() -> None:
    text = runner.table([Result("unit", 10), Result("types", 0, 1, problems=["mypy: failed"])])
    unit, types, problem = text.splitlines()[1:]
    assert unit.split()[:3] == ["unit", "ok", "10"]
    assert types.split()[:2] == ["types", "FAILED"]
    assert problem.strip() == "mypy: failed"


def test_each_real_layer_names_things_that_exist() -> None:
    assert {*runner.BESIDE, *runner.ALONE} <= {layer.name for layer in runner.LAYERS}
    for layer in runner.LAYERS:
        assert layer.steps
        for step in layer.steps:
            if isinstance(step, Suite):
                paths = [one for one in step.arguments if one.startswith("tests/")]
                assert paths
                assert all((runner.ROOT / path).is_dir() for path in paths)
            else:
                assert (runner.BIN / step.command[0]).exists()
