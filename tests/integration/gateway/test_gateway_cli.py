"""The ``tenure`` command and a gateway's server: contexts with tokens and certificates, namespaces.

Out of scope: what the verbs do (process/test_cli_verbs.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from support.gated import Files, engines, gated

TOKEN = "shop-0123456789abcdef"


class Shell:
    """``tenure`` as a user runs it, with contexts."""

    def __init__(self, home: Path, url: str) -> None:
        self._home = home
        self.url = url

    def context(self, name: str, **values: object) -> None:
        file = self._home / "tenure" / "contexts.toml"
        file.parent.mkdir(exist_ok=True)
        lines = [f'{key.replace("_", "-")} = "{value}"' for key, value in values.items()]
        with file.open("a") as out:
            out.write("\n".join([f"[contexts.{name}]", f'server = "{self.url}"', *lines, ""]))

    async def __call__(self, *words: str, code: int = 0, **env: str) -> str:
        """What it said; the exit code is asserted."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tenure_cli", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "XDG_CONFIG_HOME": str(self._home),
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                **env,
            },
        )
        out, err = await process.communicate()
        assert process.returncode == code, err.decode() + out.decode()
        assert b"Traceback" not in err
        return (out if code == 0 else err).decode()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "files")
    files.write_access(
        {"shop": {"tokens": [TOKEN], "namespaces": ["shop"]}, "robot": {"certificates": ["robot"]}}
    )
    (files.folder / "token").write_text(TOKEN + "\n")
    return files


@pytest.fixture
async def tenure(files: Files, tmp_path: Path) -> AsyncIterator[Shell]:
    async with engines() as apps, gated(apps, files.secured) as (_, port):
        yield Shell(tmp_path, f"https://127.0.0.1:{port}")


async def test_a_token_in_a_context(tenure: Shell, files: Files) -> None:
    token = files.folder / "token"
    tenure.context("shop", app="stock", namespace="shop", ca_file=files.ca, token_file=token)
    await tenure("run", "Order", "--id", "a", "--context", "shop")
    assert await tenure("list", "-o", "name", "--context", "shop") == "a\n"
    # The path without a namespace is of the server's default, here `shop`.
    assert "no instances" in await tenure("list", "--context", "shop", "--app", "orders")
    refused = await tenure("list", "--context", "shop", "--namespace", "bank", code=6)
    assert "TN0713: caller 'shop' may not use namespace 'bank'" in refused
    refused = await tenure("list", "--context", "shop", code=6, TENURE_NAMESPACE="bank")
    assert "TN0713" in refused


async def test_a_certificate_in_a_context(tenure: Shell, files: Files) -> None:
    cert, key = files.issue("robot")
    tenure.context("robot", ca_file=files.ca, cert_file=cert, key_file=key, app="orders")
    await tenure("run", "Order", "--id", "b", "--context", "robot", "--namespace", "bank")
    listed = await tenure("list", "-o", "name", "--context", "robot", "--namespace", "bank")
    assert listed == "b\n"


async def test_what_is_wrong_is_said(tenure: Shell, files: Files) -> None:
    tenure.context("nobody", ca_file=files.ca, app="orders")
    assert "TN0712: nothing says who you are" in await tenure("list", "--context", "nobody", code=6)
    tenure.context("untrusting", app="orders")
    said = await tenure("list", "--context", "untrusting", code=5)
    assert "TN0503" in said
    assert "not trusted" in said
    assert "ca-file" in said
    cert, key = files.issue("robot", authority=trustme.CA())
    tenure.context("foreign", ca_file=files.ca, cert_file=cert, key_file=key, app="orders")
    assert "TN0503" in await tenure("list", "--context", "foreign", code=5)
    tenure.context("broken", ca_file=files.key, app="orders")
    assert "cannot be used" in await tenure("list", "--context", "broken", code=2)
    tenure.context("missing", ca_file=files.folder / "none", app="orders")
    assert "TN0003" in await tenure("list", "--context", "missing", code=2)
