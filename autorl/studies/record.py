"""The record: every trial of a study, in one SQLite file. One writer, many readers, whole after a kill at any instant.

Each call is one transaction, flushed to disk before it returns, so after a crash the record holds the calls that
returned, and of the one under way all or nothing. Readers see whole transactions only, and never block the writer
(write-ahead log).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autorl.errors import StudyError
from autorl.outer.protocol import Status
from autorl.studies.exact_json import dump_json, load_json
from autorl.studies.files import TEMPORARY_SUFFIX, storage_errors, sync_folder
from autorl.studies.record_errors import database_errors
from autorl.studies.record_rows import COLUMNS, from_row, label, to_row
from autorl.studies.trial import Trial

VERSION = 2
"""Of the schema. A change that older releases cannot read raises it."""
_APPLICATION_ID = 0x4155524C  # "AURL", in the header of the file: tells a record from any other SQLite database
_BUSY_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
CREATE TABLE trials (
    arm TEXT NOT NULL, phase TEXT NOT NULL, number INTEGER NOT NULL,
    candidate TEXT NOT NULL, env_steps INTEGER NOT NULL, parent INTEGER, generation INTEGER NOT NULL,
    origin TEXT NOT NULL, schedule TEXT, source INTEGER, seeds TEXT NOT NULL, status TEXT NOT NULL, scores TEXT NOT NULL,
    score CHECK (typeof(score) IN ('real', 'null')), -- no declared type: REAL would store -0.0 as 0
    curves TEXT NOT NULL, ledger TEXT NOT NULL, message TEXT NOT NULL, told INTEGER,
    ancestor INTEGER, extra TEXT NOT NULL,
    PRIMARY KEY (arm, phase, number)
);
CREATE UNIQUE INDEX trials_told ON trials (arm, phase, told) WHERE told IS NOT NULL;
"""
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM trials"  # noqa: S608 - constants
_INSERT = f"INSERT INTO trials ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_UPDATE = (
    f"UPDATE trials SET {', '.join(f'{c} = ?' for c in COLUMNS[3:])} "  # noqa: S608
    "WHERE arm = ? AND phase = ? AND number = ? AND status = 'running'"
)
_LAST_TOLD = (
    "SELECT MAX(told) FROM trials WHERE arm = ? AND phase = ? AND told IS NOT NULL"  # the index's own condition
)
_TELL_GOING = "UPDATE trials SET told = ? WHERE arm = ? AND phase = ? AND number = ? AND told IS NULL"
_TELL = f"{_TELL_GOING} AND status != 'running'"

Key = tuple[str, str, int]
"""(arm, phase, number)."""


class Record:
    """An open record. Made by `create` or `open`; closed by `close` or at the end of a ``with`` block. One thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path, readonly: bool) -> None:
        self._connection = connection
        self.path = path
        self.readonly = readonly
        self.ended: Callable[[Sequence[Trial]], None] = lambda trials: None
        """Told the trials that `finish` has stored; it must not raise."""

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Make an empty record at ``path`` and open it. A kill on the way leaves no record or a whole one.

        Raises:
            StudyError: There is a file already, or the folder cannot be written.
        """
        path = Path(path)
        if path.exists() or path.is_symlink():
            raise StudyError(f"there is a record at {str(path)!r} already; open it, or choose another study name")
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        with storage_errors("create", path):
            _remove_leftovers(temporary, path)
            temporary.touch(0o644, exist_ok=False)  # the operating system's reasons are clearer than SQLite's
        with database_errors("create", path):
            connection = sqlite3.connect(temporary, isolation_level=None)
            try:
                header = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {VERSION};"
                connection.executescript(f"BEGIN; {_SCHEMA} {header} COMMIT;")
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
        with storage_errors("create", path):
            temporary.rename(path)
            sync_folder(path.parent)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str, readonly: bool = False) -> Self:
        """Open the record at ``path``; a reader may come and go while a writer works.

        Raises:
            StudyError: No such file, no record, damaged, written by a newer AutoRL, or not writable; with the remedy.
        """
        path = Path(path)
        with storage_errors("open", path):
            header = _header(path)
        if not header.startswith(b"SQLite format 3\0"):
            raise StudyError(
                f"{str(path)!r} is not a database. Restore the study from a copy, or remove its folder and run again."
            )
        connection = _connect(path, readonly)
        try:
            with database_errors("open", path):
                _check(connection, path)
                if readonly:
                    connection.execute("PRAGMA query_only = ON")
                else:
                    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut, not only a kill
        except BaseException:
            connection.close()
            raise
        return cls(connection, path, readonly)

    def close(self) -> None:
        """Close the record. Closing twice is fine."""
        with database_errors("close", self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, trials: Sequence[Trial]) -> None:
        """Add proposed trials (running, not told), all in one transaction.

        Raises:
            StudyError: One is in the record already, is not running, or cannot be stored. Then none is added.
        """
        for trial in trials:
            if trial.status is not Status.RUNNING or trial.told is not None:
                raise StudyError(f"{label(*_key(trial))} is {trial.status.value}; only a running trial can be added")
        self._insert(trials, "add trials to", "is in the record already")

    def take_over(self, trials: Sequence[Trial]) -> None:
        """Store told trials of another study, whole rows, before there is any other of their arms; all in one transaction.

        Raises:
            StudyError: One has no place in the order of telling, or a place or number of another, or cannot be stored. Then none is stored.
        """
        for trial in trials:
            if trial.told is None:
                raise StudyError(f"{label(*_key(trial))} was never told; only told trials can be taken over")
        self._insert(trials, "take trials over into", "is in the record already, or its place is")

    def _insert(self, trials: Sequence[Trial], doing: str, why_not: str) -> None:
        rows = [to_row(trial) for trial in trials]
        with self._transaction(doing) as connection:
            for trial, row in zip(trials, rows, strict=True):
                try:
                    connection.execute(_INSERT, row)
                except sqlite3.IntegrityError as error:
                    raise StudyError(f"{label(*_key(trial))} {why_not}") from error

    def finish(self, trials: Sequence[Trial], told: bool = False) -> None:
        """Store the outcomes of running trials (whole rows), all in one transaction.

        With ``told``, they are also told in the order given: each gets the next position of its (arm, phase).

        Raises:
            StudyError: One was never added, has ended already, is still running, or cannot be stored. Then nothing changes.
        """
        for trial in trials:
            if trial.status is Status.RUNNING:
                raise StudyError(f"{label(*_key(trial))} is still running and cannot be finished")
            if trial.told is not None:
                raise StudyError(f"{label(*_key(trial))} was told as number {trial.told}; the record gives that number")
        rows = [to_row(trial) for trial in trials]
        with self._transaction("finish trials in") as connection:
            _update(connection, trials, rows)
            if told:
                _tell(connection, [_key(trial) for trial in trials])
        self.ended(trials)

    def advance(self, trials: Sequence[Trial], tell: Sequence[Key] = ()) -> None:
        """Store how far running trials have come (whole rows; some may have ended), and tell others, all in one transaction.

        Unlike `tell`, a trial that goes on can be told: what was told of it is the score where all trials are compared.

        Raises:
            StudyError: One was never added, or has ended already; or is to be told again. Then nothing changes.
        """
        rows = [to_row(trial) for trial in trials]
        with self._transaction("advance trials in") as connection:
            _update(connection, trials, rows)
            _tell(connection, tell, _TELL_GOING)
        self.ended([trial for trial in trials if trial.status is not Status.RUNNING])

    def tell(self, keys: Sequence[Key]) -> None:
        """Mark ended trials as told, in the order given: each gets the next position of its (arm, phase).

        One transaction.

        Raises:
            StudyError: One is unknown, still running, or was told before. Then none is told.
        """
        with self._transaction("tell trials in") as connection:
            _tell(connection, keys)

    def trials(self, arm: str | None = None, phase: str | None = None, status: Status | None = None) -> list[Trial]:
        """Return the trials that match, ordered by (arm, phase, number)."""
        where, values = _where(arm, phase, status)
        with database_errors("read", self.path):
            rows = self._connection.execute(f"{_SELECT}{where} ORDER BY arm, phase, number", values).fetchall()
        return [from_row(row) for row in rows]

    def trial(self, arm: str, phase: str, number: int) -> Trial:
        """Return one trial; raise `StudyError` if there is none."""
        with database_errors("read", self.path):
            row = self._connection.execute(
                f"{_SELECT} WHERE arm = ? AND phase = ? AND number = ?", (arm, phase, int(number))
            ).fetchone()
        if row is None:
            raise StudyError(f"there is no {label(arm, phase, number)} in {str(self.path)!r}")
        return from_row(row)

    def count(self, arm: str | None = None, phase: str | None = None, status: Status | None = None) -> int:
        """Return how many trials match."""
        where, values = _where(arm, phase, status)
        with database_errors("read", self.path):
            (count,) = self._connection.execute(f"SELECT COUNT(*) FROM trials{where}", values).fetchone()  # noqa: S608
        return int(count)

    def set_meta(self, key: str, value: Any) -> None:
        """Store the JSON ``value`` under ``key``, in place of any earlier one. One transaction."""
        text = dump_json(value, f"meta {key!r}")
        with self._transaction("write") as connection:
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, text))

    def meta(self, key: str, default: Any = None) -> Any:
        """Return the JSON value stored under ``key``, or ``default``."""
        with database_errors("read", self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else load_json(row[0], f"meta {key!r}")

    @contextlib.contextmanager
    def _transaction(self, action: str) -> Iterator[sqlite3.Connection]:
        if self.readonly:
            raise StudyError(f"cannot {action} {str(self.path)!r}: it was opened for reading only")
        with database_errors(action, self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise


def _key(trial: Trial) -> Key:
    return (trial.arm, trial.phase, trial.number)


def _update(connection: sqlite3.Connection, trials: Sequence[Trial], rows: Sequence[tuple[Any, ...]]) -> None:
    for trial, row in zip(trials, rows, strict=True):
        if connection.execute(_UPDATE, (*row[3:], *row[:3])).rowcount != 1:
            raise StudyError(f"{label(*_key(trial))} is not running in the record: never added, or ended already")


def _tell(connection: sqlite3.Connection, keys: Sequence[Key], statement: str = _TELL) -> None:
    following: dict[tuple[str, str], int] = {}
    for arm, phase, number in keys:
        if (arm, phase) not in following:
            (last,) = connection.execute(_LAST_TOLD, (arm, phase)).fetchone()
            following[arm, phase] = 0 if last is None else last + 1
        if connection.execute(statement, (following[arm, phase], arm, phase, int(number))).rowcount != 1:
            raise StudyError(f"{label(arm, phase, number)} cannot be told: unknown, still running, or told before")
        following[arm, phase] += 1


def _where(arm: str | None, phase: str | None, status: Status | None) -> tuple[str, list[str]]:
    given = {"arm": arm, "phase": phase, "status": None if status is None else Status(status).value}
    chosen = {column: value for column, value in given.items() if value is not None}
    clause = " AND ".join(f"{column} = ?" for column in chosen)
    return (f" WHERE {clause}" if clause else ""), list(chosen.values())


def _remove_leftovers(temporary: Path, path: Path) -> None:
    """Remove what a killed `create`, or a deleted record, left: SQLite would replay a stray log into the new file."""
    temporary.unlink(missing_ok=True)
    for base in (temporary, path):
        for suffix in ("-journal", "-wal", "-shm"):
            base.with_name(base.name + suffix).unlink(missing_ok=True)


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _connect(path: Path, readonly: bool) -> sqlite3.Connection:
    """Return a connection that never makes a file, and that waits for a busy database instead of failing at once."""
    mode = "mode=ro" if readonly else "mode=rw"
    if readonly and not _writable(path.parent) and not path.with_name(path.name + "-wal").exists():
        mode = "immutable=1"  # SQLite could not make its shared index here; and without a log nobody is writing
    with database_errors("open", path):
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
        )


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise StudyError(f"{str(path)!r} is a database, but no AutoRL record. Check the path.")
    if version != VERSION:
        raise StudyError(
            f"{str(path)!r} was written by another AutoRL (record version {version}; this one reads {VERSION}). "
            "Open it with the AutoRL that wrote it, named in manifest.json, or upgrade AutoRL."
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StudyError(f"{str(path)!r} is damaged: {verdict}. Restore the study from a copy.")
