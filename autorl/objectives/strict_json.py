"""Reading a JSON file that somebody else wrote: small, plain, without surprises, or one error naming file and place.

Nothing is ever run, followed out of its folder, or read without a bound.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, Final

from autorl.objectives.graphs.files import shown
from autorl.objectives.graphs.graph import GraphError

MOST_BYTES: Final = 64 * 1024
MOST_DEPTH: Final = 8
MOST_TEXT: Final = 4096
"""Characters of one text."""


class ObjectiveFileError(GraphError):
    """A file of the catalogue of objectives that is malformed, too large, or not where it says it is."""


def read_json(path: Path, folder: Path) -> Any:
    """Return the JSON value in ``path``, which must be a regular file inside ``folder`` once links are followed.

    Raises:
        ObjectiveFileError: No such file, outside the folder, larger than 64 KiB, not UTF-8, not JSON (NaN, infinities, duplicate
            keys and numbers too large for a float included), nested more than 8 deep.
    """
    return parse_json(_read(path, folder), str(path))


def parse_json(data: bytes, where: str) -> Any:
    """Return the JSON value that ``data`` holds; raises as `read_json`, naming ``where``."""
    if len(data) > MOST_BYTES:
        raise ObjectiveFileError(f"{where}: larger than {MOST_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ObjectiveFileError(f"{where}: not UTF-8 text (byte {error.start})") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError:
        raise ObjectiveFileError(f"{where}: nested more than {MOST_DEPTH} deep") from None
    except ValueError as error:  # JSONDecodeError, and what the hooks refuse
        raise ObjectiveFileError(f"{where}: no JSON that can be trusted: {error}") from None
    _check_size(value, where, 1)
    return value


def _read(path: Path, folder: Path) -> bytes:
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not real.is_relative_to(root):
        raise ObjectiveFileError(f"{path}: leads out of its folder; put the file itself there, not a link")
    try:
        # not blocking: a named pipe would wait for ever; not following: the path has no links left
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ObjectiveFileError(f"{path}: not a file")
            return _first_bytes(descriptor, MOST_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise ObjectiveFileError(f"{path}: cannot be read: {_reason(error)}") from None


def _first_bytes(descriptor: int, most: int) -> bytes:
    data = b""
    while len(data) < most and (more := os.read(descriptor, most - len(data))):
        data += more
    return data


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} twice in one object")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {shown(text)} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > 16:
        raise ValueError(f"the number {shown(text)} is too large")
    return int(text)


def _check_size(value: Any, where: str, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise ObjectiveFileError(f"{where}: nested more than {MOST_DEPTH} deep")
    if isinstance(value, str) and len(value) > MOST_TEXT:
        raise ObjectiveFileError(f"{where}: a text of more than {MOST_TEXT} characters, {shown(value)}")
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    for item in items:
        _check_size(item, where, depth + 1)
