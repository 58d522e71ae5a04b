"""The tree of errors: codes, pages, statuses, exit codes.

Out of scope: where each error is raised.  What a page says cannot be tested; that it is there, has
its three sections and names no flag that does not exist, can.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import grpc
import pytest

from tenure_common import errors
from tenure_common.errors import TenureError

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "errors"
CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, TenureError) and cls.__module__ == errors.__name__
]
SECTIONS = ["## Meaning", "## Fix", "## Usual mistakes"]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def test_codes_are_unique() -> None:
    codes = [cls.code for cls in CLASSES]
    assert sorted(codes) == sorted(set(codes))


@each_class
def test_every_class_has_its_own_code(cls: type[TenureError]) -> None:
    assert "code" in vars(cls), "a subclass without a code shows its parent's page"
    assert re.fullmatch(r"TN\d{4}", cls.code)


def test_there_is_a_page_for_each_code_and_no_other() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {cls.code for cls in CLASSES}


@each_class
def test_page(cls: type[TenureError]) -> None:
    path = PAGES / f"{cls.code}.md"
    assert path.exists(), f"{cls.__name__} has no page"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(rf"# {cls.code} — \S.*", lines[0])
    assert [line for line in lines if line.startswith("## ")] == SECTIONS
    for first, last in zip(SECTIONS, [*SECTIONS[1:], None], strict=True):
        end = lines.index(last) if last else len(lines)
        assert "".join(lines[lines.index(first) + 1 : end]).strip(), f"{first} is empty"


@each_class
def test_outside_forms(cls: type[TenureError]) -> None:
    assert cls.grpc in grpc.StatusCode.__members__
    assert cls.grpc != "OK"
    assert 400 <= cls.http <= 599
    assert 1 <= cls.exit <= 125


@each_class
def test_client_errors_agree_in_both_protocols(cls: type[TenureError]) -> None:
    # A client must not be told to repeat in one protocol what the other calls its own fault.
    ours = cls.grpc in {"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNIMPLEMENTED"}
    assert (cls.http >= 500) is ours


@each_class
def test_message_falls_back_to_the_docstring(cls: type[TenureError]) -> None:
    assert cls().message == inspect.cleandoc(cls.__doc__ or "")
    assert cls().message.endswith(".")


@each_class
def test_text_has_the_code_in_front(cls: type[TenureError]) -> None:
    error = cls("it is broken")
    assert error.message == "it is broken"
    assert str(error) == f"{cls.code}: it is broken"


@each_class
def test_class_is_found_by_code(cls: type[TenureError]) -> None:
    assert errors.by_code(cls.code) is cls


def test_unknown_code_is_the_base() -> None:
    assert errors.by_code("TN9999") is TenureError


def test_details_are_the_second_argument() -> None:
    error = TenureError("bad field", {"field": "name"})
    assert error.message == "bad field"
    assert error.details == {"field": "name"}
    assert TenureError("x").details == {}


def test_exit_codes_of_the_classes_that_scripts_tell_apart() -> None:
    assert (errors.TenureError.exit, errors.UsageError.exit) == (1, 2)
    assert errors.BadSettingError.exit == 2
    assert errors.PortInUseError.exit not in {0, 1, 2}
    assert errors.StoreLockedError.exit == errors.StoreError.exit


def test_family_is_in_the_number() -> None:
    families = {
        "TN01": errors.StateError,
        "TN02": errors.LimitError,
        "TN03": errors.UnsupportedError,
        "TN04": errors.StoreError,
        "TN05": errors.TransportError,
        "TN06": errors.StoreError,
        "TN09": errors.InjectorError,
    }
    for cls in CLASSES:
        family = families.get(cls.code[:4])
        if family is not None:
            assert issubclass(cls, family), f"{cls.__name__} has a number of {family.__name__}"


def test_pages_name_only_settings_that_exist() -> None:
    from tenure_common.settings import CONFIG, settings_of
    from tenure_operator.config import Config as OperatorConfig
    from tenure_sidecar.config import Config

    known = {s.flag for s in (*settings_of(Config), CONFIG)}
    known |= {"--help", "--version", "--port", "--app", "--force", "--server"}  # of other commands
    known |= {s.flag for s in settings_of(OperatorConfig)}
    known |= {"--clusterrole", "--context", "--server-side", "--user"}  # of kubectl
    known |= {  # of etcd
        "--auto-compaction-retention",
        "--max-request-bytes",
        "--max-txn-ops",
        "--quota-backend-bytes",
    }
    for path in sorted(PAGES.glob("*.md")):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", path.read_text(encoding="utf-8")))
        assert named <= known, f"{path.name} names {sorted(named - known)}"
