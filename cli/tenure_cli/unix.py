"""HTTP through a socket file, for ``urllib``."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from functools import partial
from typing import Any


class Unix(urllib.request.HTTPHandler):
    """HTTP through a socket file, whatever the URL's host is."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection and send the request."""
        return self.do_open(partial(_Connection, path=self._path), req)


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, *, path: str, **more: Any) -> None:
        super().__init__(host, **more)
        self._path = path
        self._begun = False

    def send(self, data: Any) -> None:
        """Send a part; who answers before it has read all of it has answered all the same."""
        try:
            super().send(data)
        except BrokenPipeError:
            if not self._begun:
                raise
        self._begun = True

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
