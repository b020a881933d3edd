"""Studies that a benchmark repeats, each gone on with where it was stopped, and lines of what became of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autorl.studies import json_lines


def opened(experiment: str, overrides: Sequence[str], name: str, root: Path) -> Any:
    """Return the study of this name, or a new one; what a kill left of one that had not begun is removed."""
    from autorl import api

    if (root / name / "study.yaml").exists():
        return api.load(name, root=root)
    shutil.rmtree(root / name, ignore_errors=True)
    return api.create(experiment, list(overrides), name=name, root=root, to_run=True)


def keep(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line to a file of results; half a line that a kill left there is cut off first."""
    json_lines.mend(path)
    json_lines.append(path, dict(line))
