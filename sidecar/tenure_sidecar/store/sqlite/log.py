"""Was SQLite's log cut off, or is it damaged in the middle?

SQLite reads its log up to the first frame whose checksum is wrong, and takes that for the end.  For
the last transaction before a crash this is right: it was not acknowledged.  But a flipped bit in the
middle has the same effect, and would drop acknowledged transactions without a word.

Every commit is synced before the next one begins, so behind a true end there is at most one
transaction of the same log.  Two or more mean damage.  Frames of an earlier log, which a log that
began anew has not reached yet, have other salts and do not count.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and
https://www.sqlite.org/walformat.html#the_wal_index_file_format
"""

from __future__ import annotations

import struct
from pathlib import Path

from tenure_common.errors import StoreCorruptError

_LOG_HEADER = struct.Struct(">IIIIIIII")  # magic, format, page size, sequence, 2 salts, 2 sums
_FRAME_HEADER = struct.Struct(">IIIIII")  # page, size after commit or 0, 2 salts, 2 sums
_INDEX_HEADER = struct.Struct("=IIIBBHI")  # version, -, changes, ready, -, page size, last frame


def commits_behind_end(path: Path) -> int:
    """Commits in the log of the database ``path`` behind the frame where SQLite ends it.

    The database must be open and have been read, by any process.
    """
    try:
        index = Path(f"{path}-shm").read_bytes()
        with Path(f"{path}-wal").open("rb") as log:
            head = log.read(_LOG_HEADER.size)
            if len(head) < _LOG_HEADER.size or len(index) < _INDEX_HEADER.size:
                return 0
            _, _, size, _, *salts, _, _ = _LOG_HEADER.unpack(head)
            last = _INDEX_HEADER.unpack_from(index)[-1]
            step = _FRAME_HEADER.size + size
            place = _LOG_HEADER.size + last * step
            commits = 0
            while True:
                log.seek(place)
                frame = log.read(_FRAME_HEADER.size)
                if len(frame) < _FRAME_HEADER.size:
                    return commits
                _, pages, *of_frame, _, _ = _FRAME_HEADER.unpack(frame)
                commits += pages > 0 and of_frame == salts
                place += step
    except FileNotFoundError:
        return 0


def refuse_damaged(path: Path) -> None:
    """Raises: StoreCorruptError when the log is damaged before its last transaction.

    The database must be open and have been read; so far only through connections that cannot write,
    because closing any other would cut the log and take the evidence away.
    """
    lost = commits_behind_end(path)
    if lost > 1:
        message = (
            f"the log '{path}-wal' is damaged in the middle: {lost} committed transactions behind "
            "the damage cannot be read; nothing was changed; restore a backup, or, to go on "
            f"without them, run `sqlite3 '{path}' 'PRAGMA wal_checkpoint(TRUNCATE)'` once"
        )
        raise StoreCorruptError(message)
