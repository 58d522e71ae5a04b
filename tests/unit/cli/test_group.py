"""The ``tenure`` command: its table, lazy loading, delegation, errors and exit codes.

Out of scope: what the commands do (each has its own tests).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from tenure_cli import __main__ as entry
from tenure_cli.commands import PROCESSES, VERBS, Process, Verb
from tenure_cli.delegate import delegate
from tenure_cli.group import tenure
from tenure_common.errors import NoSuchInstanceError, UsageError
from tenure_common.version import VERSION


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A process ``echo`` (exit code 7) and a few verbs; returns echo's calls."""
    calls: list[list[str]] = []
    module = ModuleType("planted")

    def echo(arguments: list[str]) -> int:
        calls.append(arguments)
        return 7

    @click.command()
    @click.option("--code", type=int, default=0)
    def fine(code: int) -> int:
        """Do well."""
        return code

    @click.command()
    def missing() -> None:
        """Find nothing."""
        raise NoSuchInstanceError("no such instance exists: 'x'")

    @click.command()
    def interrupted() -> None:
        """Be interrupted."""
        raise KeyboardInterrupt

    vars(module).update(echo=echo, fine=fine, missing=missing, interrupted=interrupted, text="x")
    monkeypatch.setitem(sys.modules, "planted", module)
    monkeypatch.setitem(PROCESSES, "echo", Process("planted:echo", "sidecar", "Echo.", named=True))
    for name in ("fine", "missing", "interrupted", "text"):
        monkeypatch.setitem(VERBS, name, Verb(f"planted:{name}", f"The help of {name}."))
    return calls


def test_process_gets_its_arguments_untouched(planted: list[list[str]]) -> None:
    words = ["--help", "-x", "--", "a", "--b=c"]
    assert entry.main(["echo", *words]) == 7
    assert planted == [["echo", *words]]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        pytest.param(["fine"], 0, id="no-code"),
        pytest.param(["fine", "--code", "5"], 5, id="code-of-the-verb"),
        pytest.param(["missing"], NoSuchInstanceError.exit, id="our-error"),
        pytest.param(["interrupted"], 130, id="interrupted"),
        pytest.param(["fine", "--nonsense"], 2, id="unknown-option"),
        pytest.param(["nonsense"], 2, id="unknown-command"),
        pytest.param(["--version"], 0, id="version"),
        pytest.param(["--help"], 0, id="help"),
        pytest.param(["fine", "-h"], 0, id="help-of-a-verb"),
    ],
)
def test_exit_code(planted: list[list[str]], argv: list[str], code: int) -> None:
    assert entry.main(argv) == code
    assert not planted


def test_errors_go_to_standard_error(
    planted: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    del planted
    entry.main(["missing"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "tenure: TN0101: no such instance exists: 'x'\n"


def test_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    entry.main(["nonsense"])
    assert "nonsense" in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    entry.main(["--help"])
    shown = capsys.readouterr().out
    for name, command in {**PROCESSES, **VERBS}.items():
        assert f"  {name} " in shown
        assert " ".join(command.help.split()[:3]) in " ".join(shown.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    entry.main(["--version"])
    assert VERSION in capsys.readouterr().out


def test_what_is_no_command_is_a_bug(planted: list[list[str]]) -> None:
    del planted
    with pytest.raises(TypeError, match="planted:text"):
        entry.main(["text"])


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("no_such_package:main", id="package"),
        pytest.param("no_such_package.deep.down:main", id="module-of-a-missing-package"),
    ],
)
def test_packages_that_are_not_installed_are_named(target: str) -> None:
    with pytest.raises(UsageError, match=r"no_such_package.*pip install 'tenure\[sidecar\]'"):
        delegate("dev", Process(target, "sidecar", ""), [])


def test_a_broken_package_of_ours_is_not_called_uninstalled() -> None:
    with pytest.raises(ModuleNotFoundError):
        delegate("dev", Process("tenure_sidecar.no_such_module:main", "sidecar", ""), [])


@pytest.mark.parametrize("name", [*PROCESSES, *VERBS])
def test_every_command_can_be_loaded_and_has_one_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert len(re.findall(r"(?i)^ *example: ", shown, re.MULTILINE)) == 1
    assert re.search(rf'(?im)^ *example: (eval "\$\()?tenure {name}\b', shown)


@pytest.mark.parametrize("name", VERBS)
def test_every_option_of_a_verb_says_what_it_does(name: str) -> None:
    command = tenure.get_command(click.Context(tenure, info_name="tenure"), name)
    assert command is not None
    assert not [
        one.name for one in command.params if isinstance(one, click.Option) and not one.help
    ]


@pytest.mark.parametrize("name", ["dev", "list"])
def test_a_reader_that_has_enough_is_no_error_to_tell(name: str) -> None:
    script = Path(sys.executable).with_name("tenure")
    with subprocess.Popen(
        [str(script), name, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        ran.stdout.close()
        assert ran.stderr is not None
        assert ran.stderr.read() == ""


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from tenure_cli.__main__ import main; main(['--help']);"
        "heavy = {'grpc', 'aiohttp', 'rich', 'tenure_sidecar', 'prometheus_client'};"
        "heavy |= {'urllib.request', 'http.client', 'ssl', 'email'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_process_starts_without_click() -> None:
    code = (
        "import sys; from tenure_cli.__main__ import main; from tenure_cli import commands;"
        "commands.PROCESSES['x'] = commands.Process('builtins:len', '', '');"
        "assert main(['x', 'a', 'b']) == 2; sys.exit('click' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_installed_script_is_this_entry_point() -> None:
    script = Path(sys.executable).with_name("tenure")
    ran = subprocess.run([str(script), "--version"], capture_output=True, text=True, check=False)
    assert (ran.returncode, VERSION in ran.stdout) == (0, True)
