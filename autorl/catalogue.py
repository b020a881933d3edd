"""The three catalogues of data files, found from any working directory: a user's own folders first, the shipped ones last."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal, get_args

from autorl.errors import UnknownNameError, UsageError, suggestion

Kind = Literal["search_spaces", "learned_objectives", "experiments"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""What a catalogue name looks like. It can never leave its folder: no slash, and no leading dot."""

_NOUNS: Final[dict[str, str]] = {
    "search_spaces": "search space",
    "learned_objectives": "learned objective",
    "experiments": "experiment",
}
_PATHS: Final = (".yaml", ".yml")


def roots(kind: Kind) -> list[Path]:
    """Return the folders that are searched for ``kind``, first one first; only those that exist.

    They are ``./KIND``, then ``KIND`` in each folder of the environment variable ``AUTORL_PATH``, then the shipped catalogue.

    Raises:
        UsageError: ``kind`` is no catalogue.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown catalogue {kind!r}.{suggestion(str(kind), KINDS)}")
    listed = os.environ.get("AUTORL_PATH", "").split(os.pathsep)
    folders = [Path.cwd(), *(Path(entry).expanduser().absolute() for entry in listed if entry)]
    candidates = [*(folder / kind for folder in folders), *_shipped(kind)]
    return [path for path in dict.fromkeys(candidates) if path.is_dir()]


def names(kind: Kind) -> dict[str, Path]:
    """Return every name of ``kind`` with its path, sorted. A name in an earlier folder hides the same name in a later one."""
    found: dict[str, Path] = {}
    for root in roots(kind):
        for path in sorted(root.iterdir()):
            name = _name(kind, path)
            if name is not None and name not in found and _inside(path, root):
                found[name] = path
    return dict(sorted(found.items()))


def find(kind: Kind, name: str | os.PathLike[str]) -> Path:
    """Return the path of ``name``, a catalogue name or (for the YAML catalogues) the path of a file ending in ``.yaml``.

    Raises:
        UnknownNameError: No such name; says which one is near.
        UsageError: No such file, or something that is neither a name nor a path.
    """
    text = os.fspath(name)
    if kind in ("search_spaces", "experiments") and text.endswith(_PATHS):
        return _file(kind, Path(text).expanduser())
    if not NAME.fullmatch(text):
        remedy = "" if kind == "learned_objectives" else "; the path of a file must end in .yaml"
        raise UsageError(
            f"{text!r} is no name of a {_NOUNS.get(kind, kind)} (small letters, digits, '_', '.' and '-', 64 at most){remedy}"
        )
    known = names(kind)
    if text not in known:
        raise UnknownNameError(_NOUNS[kind], text, known)
    return known[text]


def _file(kind: Kind, path: Path) -> Path:
    """Return ``path`` if it is a file; say what may have been meant otherwise."""
    if path.is_file():
        return path
    if path.exists():
        raise UsageError(f"{str(path)!r} is not a file")
    beside = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    if path.stem in names(kind):
        remedy = f" Did you mean the {_NOUNS[kind]} {path.stem!r} (without '.yaml')?"
    else:
        remedy = suggestion(path.name, beside) if beside else ""
    raise UsageError(f"no file {str(path)!r}.{remedy}")


def _shipped(kind: Kind) -> list[Path]:
    """Return the catalogue inside the wheel, else (in a checkout) the one beside the package."""
    package = Path(__file__).resolve().parent
    if (package / "_catalogue").is_dir():
        return [package / "_catalogue" / kind]
    # Only in a checkout: beside an installed package, a folder of this name would be somebody else's.
    return [package.parent / kind] if (package.parent / "pyproject.toml").is_file() else []


def _name(kind: Kind, path: Path) -> str | None:
    """Return the catalogue name of the entry at ``path``; None if it is no entry of ``kind``."""
    if kind == "learned_objectives":
        name = path.name if path.is_dir() else ""
    else:
        name = path.stem if path.suffix in _PATHS and path.is_file() else ""
    return name if NAME.fullmatch(name) and not name.endswith(_PATHS) else None


def _inside(path: Path, root: Path) -> bool:
    """Return whether ``path`` is still below ``root`` once links are followed."""
    return path.resolve().is_relative_to(root.resolve())
