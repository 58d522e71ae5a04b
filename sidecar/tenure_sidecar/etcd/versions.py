"""Versions of etcd, and what is wrong with some of them.

Sources: https://github.com/etcd-io/etcd/issues/13766 (3.5.0 to 3.5.2) and
https://github.com/etcd-io/etcd/issues/14110 (before 3.5.5).
"""

from __future__ import annotations

import re
from typing import Final

SOUND: Final = (3, 5, 5)
_FORGETFUL: Final = ((3, 5, 0), (3, 5, 3))


def version_of(text: str) -> tuple[int, ...]:
    """``3.5.21`` as numbers; what follows them (``-rc.0``) is left out."""
    return tuple([int(part) for part in re.findall(r"\d+", text)[:3]])


def is_sound(text: str) -> bool:
    """Whether that version can be trusted with transactions that only read.

    Before 3.5.5 one whose caller goes away in the middle brings the whole server down.
    """
    return version_of(text) >= SOUND


def may_forget(text: str) -> bool:
    """Whether a member of that version may lose what it acknowledged, when it is killed under load.

    It skips what it had not applied, and differs from the other members from then on.
    """
    first, mended = _FORGETFUL
    return first <= version_of(text) < mended
