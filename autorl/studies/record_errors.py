"""What SQLite's errors mean for someone with a study: which file, what is wrong with it, what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from autorl.errors import StudyError

_REMEDIES = {
    sqlite3.SQLITE_FULL: "The disk, a quota or a file size limit is full: free some space, then resume; no trial is lost.",
    sqlite3.SQLITE_IOERR: "The disk may be full or failing: free some space or use another disk, then resume.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable for you, or copy the study elsewhere.",
    sqlite3.SQLITE_PERM: "Make the file and its folder writable for you, or copy the study elsewhere.",
    sqlite3.SQLITE_CANTOPEN: "Check that it exists and that its folder is writable for you, or copy the study elsewhere.",
    sqlite3.SQLITE_BUSY: "Another program holds it; close that program and try again.",
    sqlite3.SQLITE_LOCKED: "Another program holds it; close that program and try again.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: restore the study from a copy.",
    sqlite3.SQLITE_NOTADB: "The file is damaged: restore the study from a copy.",
}


@contextlib.contextmanager
def database_errors(action: str, path: Path) -> Iterator[None]:
    """Turn what can go wrong with the file inside into `StudyError`; wrong use of SQLite itself passes through."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF  # extended codes keep the primary one in the low byte
        advice = _REMEDIES.get(primary, "The file may be damaged: restore the study from a copy.") if primary else ""
        raise StudyError(f"cannot {action} {str(path)!r}: {error}. {advice}".rstrip()) from error
