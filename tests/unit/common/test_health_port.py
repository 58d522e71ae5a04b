"""The port of health and metrics: 200 or 503 with the reason.

Out of scope: what makes a process live and ready.
"""

from __future__ import annotations

import aiohttp
import pytest

from tenure_common.errors import BadSettingError, PortInUseError
from tenure_common.health import Health, Listener
from tenure_common.telemetry import Metrics


def listener(
    stuck: str = "", not_ready: str = "", port: int = 0, host: str = "127.0.0.1"
) -> Listener:
    metrics = Metrics()
    metrics.counter("tenure_reviews_total", "Reviews.", lambda: 3)
    health = Health(metrics=lambda: metrics, stuck=lambda: stuck, not_ready=lambda: not_ready)
    return Listener(health.app(), host=host, port=port, flag="--health-port")


@pytest.mark.parametrize(
    ("stuck", "not_ready", "live", "ready"),
    [("", "", 200, 200), ("", "starting", 200, 503), ("nobody looks", "", 503, 200)],
)
async def test_health(stuck: str, not_ready: str, live: int, ready: int) -> None:
    served = listener(stuck, not_ready)
    port = await served.start()
    async with aiohttp.ClientSession() as session:
        for path, expected, text in (("healthz", live, stuck), ("readyz", ready, not_ready)):
            async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                assert answer.status == expected
                assert (await answer.text()).strip() == (text or "ok")
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert "tenure_reviews_total 3.0" in await answer.text()
    await served.stop()
    await served.stop()


async def test_a_port_that_is_taken_is_named() -> None:
    first = listener()
    port = await first.start()
    with pytest.raises(PortInUseError, match="choose another with --health-port"):
        await listener(port=port).start()
    await first.stop()


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(BadSettingError, match="--health-port"):
        await listener(host="192.0.2.1").start()
