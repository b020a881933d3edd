"""What is known of one trial: plain data, the same in the record, in Python and in ``autorl show --json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from autorl.outer.protocol import Candidate, Status

Arm = str
"""Who proposed it: ``method``, the study's own; ``random``, the random-search baseline; or nobody: ``default``, the default
configuration, ``objective:NAME``, a learned objective with it, and ``teacher:NAME``, another teacher with it."""
OBJECTIVE_ARM: Final = "objective:"
TEACHER_ARM: Final = "teacher:"
_MAIN_ARMS: Final = ("method", "random", "default")
AT_HURDLE: Final = "hurdle"
VALIDATION: Final = "validation"
"""Names in a trial's ``values``."""
COMPILED: Final = "compiled"
"""Key of the record under which stands what programs were compiled."""
STATISTICS: Final = "statistics/"
"""Before the name of an arm: key of the record under which stands what its search method counted."""
Phase = Literal["search", "finalists", "test"]
"""Search seeds, fresh tuning seeds, untouched test seeds: three disjoint sets."""


def is_arm(name: str) -> bool:
    """Return whether ``name`` is that of an arm."""
    return name in _MAIN_ARMS or any(name.startswith(p) and len(name) > len(p) for p in (OBJECTIVE_ARM, TEACHER_ARM))


def lessons_key(arm: Arm, phase: Phase, number: int) -> str:
    """Return the key of the record under which stands what became of a trial's held-out tasks, and its teacher's diary."""
    return f"lessons/{arm}/{phase}/{number}"


def in_order(arms: Iterable[Arm]) -> list[Arm]:
    """Return ``arms``, each once, the three main ones first and then the objectives and teachers by name."""
    found = set(arms)
    return [*(arm for arm in _MAIN_ARMS if arm in found), *sorted(found - set(_MAIN_ARMS))]


@dataclass(frozen=True)
class Ledger:
    """Work spent, one account for all methods. Seconds are wall seconds; a population's are shared equally by its lanes."""

    train_env_steps: int = 0
    evaluation_env_steps: int = 0
    updates: int = 0
    compile_seconds: float = 0.0
    wall_seconds: float = 0.0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            self.train_env_steps + other.train_env_steps,
            self.evaluation_env_steps + other.evaluation_env_steps,
            self.updates + other.updates,
            self.compile_seconds + other.compile_seconds,
            self.wall_seconds + other.wall_seconds,
        )


@dataclass(frozen=True)
class Stage:
    """A part of a plan: train ``candidate`` until ``until`` environment steps (cumulative)."""

    until: int
    candidate: Candidate


@dataclass(frozen=True)
class Curve:
    """Evaluation during one training: mean return (or normalised score) at cumulative env steps."""

    environment: int
    seed: int
    env_steps: tuple[int, ...]
    scores: tuple[float | None, ...]


@dataclass(frozen=True)
class Trial:
    """One candidate (or one schedule), trained for one budget on its seeds.

    Attributes:
        arm, phase, number: Together the key. ``number`` counts from 0 within (arm, phase).
        candidate: What was trained; for a schedule, its last stage's candidate.
        env_steps: Environment steps of this trial's own training, each seed.
        parent: Trial (same arm and phase) whose trained state it continued from.
        generation, origin: Lineage, as proposed by the method.
        schedule: The stages, where the plan has more than one.
        source: For finalists and test trials, the number of the search trial they come from.
        seeds: Training seeds.
        status: How it ended.
        scores: [environments of the phase][seeds] final scores, None where that training failed.
        score: Mean over environments (but those of validation) and seeds; None unless completed.
        curves: Learning curves.
        ledger: Work spent.
        message: Why it failed, in one line.
        told: Position in the order of telling (from 0); None until told. Resume replays in this order.
        ancestor: Search trial whose candidate this one was made from, by mutation.
        values: Other figures of merit: ``hurdle`` (score at the hurdle), ``validation`` (score in the validation environments).
    """

    arm: Arm
    phase: Phase
    number: int
    candidate: Candidate
    env_steps: int
    parent: int | None = None
    generation: int = 0
    origin: str = "sample"
    schedule: tuple[Stage, ...] | None = None
    source: int | None = None
    seeds: tuple[int, ...] = ()
    status: Status = Status.RUNNING
    scores: tuple[tuple[float | None, ...], ...] = ()
    score: float | None = None
    curves: tuple[Curve, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    message: str = ""
    told: int | None = None
    ancestor: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)


Json = dict[str, Any]
