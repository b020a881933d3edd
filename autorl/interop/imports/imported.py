"""A space that came from elsewhere, checked and written as a file of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from autorl.errors import UsageError
from autorl.spaces.dimensions import is_number, same
from autorl.spaces.files import parse_space
from autorl.spaces.hyperparameters import HyperparameterSpace

MOST_STEPS: Final = 64
"""Values of a dimension with a step: as many become an ordered list of choices, more are refused."""
_BARE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Imported:
    """A space as our files write it.

    Attributes:
        dimensions: Name to ``{type, ..., when}``.
        remarks: What has no place in a space of ours, in words: defaults, where conditions were read off.
    """

    dimensions: Mapping[str, Mapping[str, Any]]
    remarks: tuple[str, ...] = ()


def checked(imported: Imported, name: str, learner: str | None = None) -> HyperparameterSpace:
    """Return the space.

    Raises:
        UsageError: Listing everything that a space of ours cannot be.
    """
    space = parse_space({"name": name, "learner": learner, "dimensions": imported.dimensions}, name)
    assert isinstance(space, HyperparameterSpace)
    return space


def space_file(imported: Imported, name: str, source: str, learner: str | None = None) -> str:
    """Return the text of a space file (see `autorl.spaces.load_space`), checked before.

    Args:
        imported: What to write.
        name: What people call it; the name of the file stands in its place.
        source: Where it comes from.
        learner: The learner whose hyperparameters these are, if it is known.

    Raises:
        UsageError: As `checked`.
    """
    checked(imported, name, learner)
    lines = [f"# {remark}" for remark in imported.remarks]
    lines += [f"source: {json.dumps(source, ensure_ascii=False)}"]
    lines += [f"learner: {json.dumps(learner)}"] if learner else []
    lines += ["dimensions:"]
    lines += [f"  {key}: {_flow(dimension)}" for key, dimension in imported.dimensions.items()]
    return "\n".join(lines) + "\n"


def numeric(kind: str, low: Any, high: Any, log: bool, step: Any = None) -> dict[str, Any]:
    """Return a dimension between two numbers: ``float`` or ``int``, fixed if they are equal, choices if there is a step.

    Raises:
        UsageError: More than `MOST_STEPS` values, a step on a logarithmic scale, or one that is no number above 0.
    """
    if low == high:
        return {"type": "fixed", "value": low}
    if step is not None and not (kind == "int" and step == 1):
        if not is_number(step) or step <= 0:
            raise UsageError(f"a step must be a number above 0, got {step!r}")
        if log:
            raise UsageError(f"a step ({step!r}) on a logarithmic scale has no counterpart; leave out one of them")
        return {"type": "categorical", "choices": _steps(low, high, step)}
    scale = ({"scale": "log"} if kind == "float" else {"log": True}) if log else {}
    return {"type": kind, "low": low, "high": high, **scale}


def choices(listed: Sequence[Any]) -> dict[str, Any]:
    """Return a dimension of choices: ``bool`` for false and true, fixed for a single one."""
    if len(listed) == 1:
        return {"type": "fixed", "value": listed[0]}
    if len(listed) == 2 and all(any(same(choice, b) for choice in listed) for b in (False, True)):
        return {"type": "bool"}
    return {"type": "categorical", "choices": list(listed)}


def _steps(low: Any, high: Any, step: Any) -> list[Any]:
    count = int((high - low) / step * (1 + 1e-12)) + 1
    if count > MOST_STEPS:
        raise UsageError(
            f"a step of {step!r} from {low!r} to {high!r} makes {count} values, and at most {MOST_STEPS} can be listed as choices; "
            "leave the step out, or make it larger"
        )
    if count < 2:
        raise UsageError(f"a step of {step!r} from {low!r} to {high!r} leaves a single value")
    # rounded, so that 0.1 + 2 * 0.1 is 0.3
    return [low + i * step if isinstance(low + step, int) else float(f"{low + i * step:.12g}") for i in range(count)]


def _flow(value: Any) -> str:
    """Return a value on one line of YAML: names bare, all other text in quotes, numbers as JSON has them."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_word(key, inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _word(key: str, value: Any) -> str:
    return value if key in ("type", "scale") and _BARE.match(str(value)) else _flow(value)
