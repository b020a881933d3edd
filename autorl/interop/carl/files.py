"""A JSON file of CARL's, contexts or the space that they are sampled from, as the section ``environment`` of an experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autorl.environments.task_box import task_space
from autorl.errors import UsageError
from autorl.interop.carl.contexts import overrides_from_contexts
from autorl.interop.carl.names import counterpart
from autorl.interop.carl.spaces import vary_from_space

_LARGEST_FILE: Final = 16_000_000


def section(path: Path, environment: str) -> str:
    """Return YAML of ``{environment: {id, tasks}}``: contexts are the tasks that agents are scored on, a space says what a teacher varies.

    Args:
        path: JSON of contexts (``{id: {feature: value}}``, or a list), or ConfigSpace's of a context space.
        environment: ``contextual:NAME``.

    Raises:
        UsageError: No such file, larger than 16 MB, or no JSON; no context in it; and as `overrides_from_contexts` and `vary_from_space`.
    """
    data = _read(path)
    try:
        if isinstance(data, Mapping) and isinstance(data.get("hyperparameters"), list):
            ranges = vary_from_space(environment, data)
            rows = [
                "    vary:",
                *(f"      {name}: {'' if r is None else list(r)}".rstrip() for name, r in ranges.items()),
            ]
            remark = "values are proposed within these ranges as the environment has it, by differences or by ratios"
        else:
            tasks = overrides_from_contexts(environment, data)
            if not tasks:
                raise UsageError("there is no context in it")
            first = task_space(counterpart(environment)[0]).dimensions[0]
            usual = {first.name: first.default}  # an experiment has no empty task
            rows = ["    named:", *(f"      - {_flow(task or usual)}" for task in tasks.values())]
            remark = f"{len(tasks)} contexts, in their order; features at their defaults are left out"
    except UsageError as error:
        raise UsageError(f"{path.name}: {error}") from error
    return "\n".join([f"# CARL, {path.name}: {remark}", "environment:", f"  id: {environment}", "  tasks:", *rows, ""])


def _flow(task: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in task.items()) + "}"


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path.name}: larger than {_LARGEST_FILE} bytes, these are no contexts")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}. Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name}: no JSON: {error}. Remedy: write contexts with json.dump") from error
