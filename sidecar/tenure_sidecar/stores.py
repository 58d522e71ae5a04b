"""Which store the settings name.  A store's own libraries are imported when it is wanted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from tenure_common.errors import BadSettingError

if TYPE_CHECKING:
    from tenure_sidecar.config import AccessConfig, EngineConfig, StoreConfig
    from tenure_sidecar.store.etcd import Address
    from tenure_sidecar.store.port import Store


def open_store(config: EngineConfig) -> Store:
    """The store that the settings name, still to be opened.

    Raises: BadSettingError, also when there can be no folder for it.
    """
    kind, _, rest = config.store.partition(":")
    if kind == "sqlite" and rest:
        from tenure_sidecar.store.sqlite import SqliteStore  # noqa: PLC0415

        path = Path(rest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"--store: there can be no folder {path.parent} for it: {error.strerror}"
            raise BadSettingError(message) from error
        return SqliteStore(path, partitions=config.partitions or None)
    if kind == "etcd":
        from tenure_sidecar.store.etcd import EtcdStore  # noqa: PLC0415

        return EtcdStore(
            etcd_address(config),
            namespace=config.namespace,
            app=config.app_id,
            partitions=config.partitions or None,
        )
    raise _unknown(config)


def check_store(config: StoreConfig) -> list[str]:
    """The problems of the store that is named, a sentence each.

    Raises: BadSettingError, StoreError.
    """
    kind, _, rest = config.store.partition(":")
    if kind == "sqlite" and rest:
        from tenure_sidecar.store.sqlite.check import check  # noqa: PLC0415

        return check(Path(rest))
    if kind == "etcd":
        from tenure_sidecar.store.etcd import examine  # noqa: PLC0415

        address = etcd_address(config)
        return asyncio.run(examine(address, namespace=config.namespace, app=config.app_id))
    raise _unknown(config)


def etcd_address(config: AccessConfig) -> Address:
    """Where etcd is, and as whom.  Raises: BadSettingError."""
    from tenure_sidecar.etcd import Tls, User  # noqa: PLC0415
    from tenure_sidecar.store.etcd import parse  # noqa: PLC0415

    if config.etcd_password and not config.etcd_user:
        message = "--etcd-password is given without --etcd-user: say whose it is"
        raise BadSettingError(message)
    return parse(
        config.store,
        tls=Tls(config.etcd_ca, config.etcd_cert, config.etcd_key),
        user=User(config.etcd_user, config.etcd_password) if config.etcd_user else None,
    )


def _unknown(config: AccessConfig) -> BadSettingError:
    """The error for a store that is none."""
    message = f"--store '{config.store}' is not a store: write sqlite:PATH or etcd://HOST:PORT,…"
    return BadSettingError(message)
