"""Entities: not served yet, and said so."""

from __future__ import annotations

import pytest

from conformance.driver import SdkError
from conformance.stage import Stage
from conformance.suite import scenario


@scenario("entities")
async def entity_calls_are_refused(stage: Stage) -> None:
    """Signalling or reading an entity is UNIMPLEMENTED with a code of ours; it does not hang."""
    app = await stage.app()
    with pytest.raises(SdkError) as caught:
        await app.ask("signal_entity", entity="counter", key="a", operation="add")
    assert caught.value.code == "UNIMPLEMENTED"
    assert "TN0300" in caught.value.message
    with pytest.raises(SdkError) as caught:
        await app.ask("get_entity", entity="counter", key="a")
    assert caught.value.code == "UNIMPLEMENTED"
    assert "TN0300" in caught.value.message
