"""The command tells what was done, also when a later step goes wrong."""

from __future__ import annotations

import pytest

from tenure_common.errors import ClusterApiError
from tenure_sidecar.upkeep import process
from tenure_sidecar.upkeep.config import UpkeepConfig

CONFIG = UpkeepConfig(namespace="tenure-system", full_name="tenure")


def test_what_was_done_before_an_error_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(_: UpkeepConfig, done: list[str], failed: list[str]) -> None:
        done.append("tenure-ca: authority replaced")
        failed.append("bank/tenure-store: it is gone")
        message = "the API server is away"
        raise ClusterApiError(message)

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(ClusterApiError):
        process.main(CONFIG)
    said = capsys.readouterr()
    assert said.out == "tenure-ca: authority replaced\n"
    assert said.err == "tenure: bank/tenure-store: it is gone\n"


@pytest.mark.parametrize(
    ("failed", "code", "out"),
    [([], 0, "nothing was to be done\n"), (["bank/tenure-store: it is gone"], 1, "")],
)
def test_the_exit_status_tells_of_namespaces(
    failed: list[str],
    code: int,
    out: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def run(_: UpkeepConfig, _done: list[str], told: list[str]) -> None:
        told += failed

    monkeypatch.setattr(process, "run", run)
    assert process.main(CONFIG) == code
    assert capsys.readouterr().out == out
