"""Where a study lives: one folder, with a fixed place for everything that is kept of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from autorl.errors import StudyError, UnknownStudyError
from autorl.studies.files import NAME_PATTERN, check_name, storage_errors, write_text_atomic

__all__ = ["ROOT", "StudyFolder", "list_studies", "write_text_atomic"]

ROOT = Path("studies")
"""Where studies are made and looked for unless said otherwise: below the working directory."""
_MAX_NAME = 64


@dataclass(frozen=True)
class StudyFolder:
    """The paths of one study. A folder is a study from the moment its ``study.yaml`` is there."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the study: the folder's."""
        return self.path.name

    @property
    def specification(self) -> Path:
        """The resolved specification, ``study.yaml``."""
        return self.path / "study.yaml"

    @property
    def manifest(self) -> Path:
        """Versions, seeds, device and command, ``manifest.json``."""
        return self.path / "manifest.json"

    @property
    def record(self) -> Path:
        """Every trial, ``record.sqlite``."""
        return self.path / "record.sqlite"

    @property
    def checkpoints(self) -> Path:
        """Folder of trained states, ``checkpoints/``."""
        return self.path / "checkpoints"

    @property
    def policy(self) -> Path:
        """The trained policy of the winner's first test training, ``policy.npz``; see `autorl.studies.kept_policy`."""
        return self.path / "policy.npz"

    @property
    def figures(self) -> Path:
        """Folder of figures, ``figures/``."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The report, ``report.html``."""
        return self.path / "report.html"

    @property
    def optuna(self) -> Path:
        """The study as Optuna's journal, for its dashboard: ``optuna.log``."""
        return self.path / "optuna.log"

    @property
    def logs(self) -> Path:
        """Folder of what loggers write, ``logs/``; made by them."""
        return self.path / "logs"

    @property
    def lock(self) -> Path:
        """The lock of the writer, ``study.lock``."""
        return self.path / "study.lock"

    @property
    def exists(self) -> bool:
        """Whether this is a study: it has a specification."""
        return self.specification.is_file()

    @classmethod
    def create(cls, root: Path | str = ROOT, name: str = "study") -> Self:
        """Make a new folder ``root/name``; if there is one already, ``name-2``, ``name-3`` ...

        Two processes never get the same folder. Checkpoints and figures get their folders at once.

        Raises:
            UsageError: A name that is no safe file name.
            StudyError: ``root`` cannot be written, or the disk is full.
        """
        check_name("study", name)
        root = Path(root)
        with storage_errors("create a study in", root):
            root.mkdir(parents=True, exist_ok=True)
            study = cls(_make_unique(root, name))
            study.checkpoints.mkdir()
            study.figures.mkdir()
        return study

    @classmethod
    def open(cls, reference: Path | str, root: Path | str = ROOT) -> Self:
        """Return the study of that name below ``root``, or at that path.

        Raises:
            UnknownStudyError: There is none; with the nearest name among those there are.
            StudyError: The folder is there but is no study.
        """
        root = Path(root)
        text = str(reference)
        places = [Path(reference)]
        if NAME_PATTERN.fullmatch(text) is not None:
            places.insert(0, root / text)
        for place in places:
            if cls(place).exists:
                return cls(place if place.name not in ("", "..") else place.resolve())
        for place in places:
            if place.is_dir():
                raise StudyError(
                    f"{str(place)!r} is no study: it has no study.yaml. It was never started, or was emptied."
                )
        raise UnknownStudyError(text, str(root), [study.name for study in list_studies(root)])


def list_studies(root: Path | str = ROOT) -> list[StudyFolder]:
    """Return the studies directly below ``root``, by name; none if there is no such folder."""
    root = Path(root)
    if not root.is_dir():
        return []
    with storage_errors("list", root):
        found = [StudyFolder(path) for path in root.iterdir() if path.is_dir()]
    return sorted((study for study in found if study.exists), key=lambda study: study.name)


def _make_unique(root: Path, name: str) -> Path:
    for number in itertools.count(1):
        suffix = "" if number == 1 else f"-{number}"
        path = root / f"{name[: _MAX_NAME - len(suffix)]}{suffix}"
        try:
            path.mkdir()  # the file system decides who was first
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")  # pragma: no cover
