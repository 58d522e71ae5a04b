"""What a process need not load to be ready: lists of public authorities, painters of tracebacks.

Out of scope: how long it takes (``bench/injector.py``, ``bench/startup.py``).
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys

import pytest

from tenure_common.lean import absent, no_authorities

_PROGRAM = """
import importlib, json, ssl, sys

read = []
plain = ssl.SSLContext.set_default_verify_paths
ssl.SSLContext.set_default_verify_paths = lambda context: read.append(plain(context))
importlib.import_module(sys.argv[1])
print(json.dumps({"lists": len(read), "rich": "rich" in sys.modules, "web": "aiohttp" in sys.modules}))
"""


@pytest.mark.parametrize("entry", ["tenure_injector.__main__", "tenure_sidecar.__main__"])
def test_entry_point_loads_nothing_in_vain(entry: str) -> None:
    program = subprocess.run(
        [sys.executable, "-c", _PROGRAM, entry], capture_output=True, text=True, check=True
    )
    assert json.loads(program.stdout) == {"lists": 0, "rich": False, "web": True}


def test_contexts_read_the_list_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    with no_authorities():
        assert not ssl.create_default_context().get_ca_certs()
    read: list[ssl.SSLContext] = []

    def remember(context: ssl.SSLContext) -> None:
        read.append(context)

    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", remember)
    with no_authorities():
        ssl.create_default_context()
    context = ssl.create_default_context()
    assert read == [context]


def test_module_is_found_again_afterwards() -> None:
    name = "this"  # of the standard library; nobody has imported it
    assert name not in sys.modules
    with absent(name), pytest.raises(ImportError):
        __import__(name)
    assert name not in sys.modules


def test_module_that_was_imported_stays() -> None:
    with absent("json"):
        assert sys.modules["json"] is json
    assert sys.modules["json"] is json
