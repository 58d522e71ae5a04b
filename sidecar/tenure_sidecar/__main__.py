"""Entry point of the engine: ``tenure dev``, ``tenure sidecar``, ``tenure gateway``,
``tenure upkeep``, ``tenure selftest``.

Settings come from flags, ``TENURE_...`` variables and a TOML file, in this order; what comes after
``--`` is the app's command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tenure_common import lean  # noqa: F401 # pyright: ignore[reportUnusedImport] - before all others
from tenure_common.command import configured, exit_code
from tenure_common.errors import UsageError
from tenure_sidecar import pod, runtime
from tenure_sidecar.config import Config, GatewayConfig, SidecarConfig, every_setting

_DEV = """\
usage: tenure dev [SETTINGS] [-- COMMAND ...]

Runs the whole engine in this process on an embedded store; with COMMAND, the app beside it.

example: tenure dev --app-id orders -- python app.py

settings [variable; default]:
"""

_SIDECAR = """\
usage: tenure sidecar [SETTINGS]

Runs the engine beside an app, in the app's pod, on a store that the app's pods share.

example: tenure sidecar --app-id orders --namespace shop --store etcd://etcd:2379

settings [variable; default]:
"""


_GATEWAY = """\
usage: tenure gateway [SETTINGS]

Serves the management API of every app in an etcd store, for callers with a token or a certificate.

example: tenure gateway --store etcd://etcd:2379 --gateway-host ""
           --tls-cert tls.crt --tls-key tls.key --access-file access.toml

settings [variable; default]:
"""


_UPKEEP = """\
usage: tenure upkeep [SETTINGS]

Makes and renews the certificates of an installation in Kubernetes, gives its etcd users, and gives
back the free space of its files.  Does only what is missing, so it can be run at any time.

example: tenure upkeep --namespace tenure-system --full-name tenure --etcd-members 3 --gateway true

settings [variable; default]:
"""


_SELFTEST = """\
usage: tenure selftest [SETTINGS]

The smallest app: it has one workflow, Selftest, which doubles its input.  helm test runs it.

example: tenure selftest --taskhub-port 4001

settings [variable; default]:
"""


def dev(argv: Sequence[str]) -> int:
    """``tenure dev``; returns the exit code.  Raises: TenureError."""
    config = configured(Config, argv, usage=_DEV, rest="command", elsewhere=every_setting())
    return 0 if config is None else runtime.main(config)


def sidecar(argv: Sequence[str]) -> int:
    """``tenure sidecar``; returns the exit code.  Raises: TenureError."""
    config = configured(SidecarConfig, argv, usage=_SIDECAR, elsewhere=every_setting())
    return 0 if config is None else pod.main(config)


def gateway(argv: Sequence[str]) -> int:
    """``tenure gateway``; returns the exit code.  Raises: TenureError."""
    from tenure_sidecar import gateway as process  # noqa: PLC0415 - the others need no etcd

    config = configured(GatewayConfig, argv, usage=_GATEWAY, elsewhere=every_setting())
    return 0 if config is None else process.main(config)


def upkeep(argv: Sequence[str]) -> int:
    """``tenure upkeep``; returns the exit code.  Raises: TenureError."""
    from tenure_sidecar.upkeep import config as settings  # noqa: PLC0415 - the others
    from tenure_sidecar.upkeep import process  # noqa: PLC0415 - need none of it

    config = configured(settings.UpkeepConfig, argv, usage=_UPKEEP, elsewhere=every_setting())
    if config is None:
        return 0
    if config.follow:
        from tenure_sidecar.upkeep import following  # noqa: PLC0415 - a job needs no web server

        return following.main(config)
    return process.main(config)


def selftest(argv: Sequence[str]) -> int:
    """``tenure selftest``; returns the exit code.  Raises: TenureError."""
    from tenure_sidecar import selftest as process  # noqa: PLC0415 - the others need none of it

    config = configured(process.SelftestConfig, argv, usage=_SELFTEST, elsewhere=every_setting())
    return 0 if config is None else process.main(config)


_COMMANDS = {
    "dev": dev,
    "sidecar": sidecar,
    "gateway": gateway,
    "upkeep": upkeep,
    "selftest": selftest,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors go to standard error, with their code."""
    words = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        if not words or words[0] not in _COMMANDS:
            message = f"name a command: {', '.join(_COMMANDS)}"
            raise UsageError(message)
        return _COMMANDS[words[0]](words[1:])

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
