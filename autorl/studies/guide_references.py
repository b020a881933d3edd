"""The policies that agents imitate (`autorl.inner.distillation`): named by hyperparameters, checked before a study, looked up in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from autorl.errors import UsageError
from autorl.spaces.plain_values import DISTILL_FROM, NOBODY, leaves
from autorl.studies.consistency import Finding, Sections
from autorl.studies.kept_policy import KeptPolicy, guide_of
from autorl.studies.pinned_guide import unpinned
from autorl.studies.problems import Path

if TYPE_CHECKING:
    from autorl.environments.protocol import Environment
    from autorl.inner.distillation import Distilled
    from autorl.spaces import Space

UNPINNED = "{name}: expected a study with the digest of its policy, so that a resume follows no other one"
PINNED = "Write study:PATH#DIGEST, as the study.yaml of a study that it guides has it; or name it in {instead}"
_INSTEAD = "learner.hyperparameters.distill_from of an experiment"


def distilled(reference: str, environment: Environment) -> Distilled:
    """Return the guide that ``reference`` names, to be imitated in ``environment``.

    A study's policy is imitated as a distribution, its actions drawn, where its learner has one: an agent that imitated the likeliest
    actions would stop exploring.

    Raises:
        UsageError: There is none, it cannot act there, or it is a study's without the digest of its policy.
    """
    from autorl.inner.distillation import Distilled, refuse_strange

    if unpinned(reference):
        raise UsageError(f"{UNPINNED.format(name=DISTILL_FROM)}, got {reference!r}. {PINNED.format(instead=_INSTEAD)}.")
    guide = guide_of(reference, environment)
    guide = guide.drawn() if isinstance(guide, KeptPolicy) else guide
    refuse_strange(reference, guide, environment)
    return Distilled(reference, guide)


def imitated(s: Sections, space: Space | None, learner: Any, environments: Sequence[Environment]) -> Iterator[Finding]:
    """Yield what is wrong with the guides that agents imitate: those that are fixed, and those that a space proposes."""
    if DISTILL_FROM not in learner.Hyperparameters.__dataclass_fields__ or s.learner is None:
        return
    shared: Any = s.learner.hyperparameters.get(DISTILL_FROM)
    places: list[tuple[Path, Any, Environment]] = []
    for i, (choice, made) in enumerate(zip(s.environments, environments, strict=True)):
        if DISTILL_FROM in choice.hyperparameters:
            own: Path = ("environment", i, "hyperparameters", DISTILL_FROM)
            places.append((own, choice.hyperparameters[DISTILL_FROM], made))
        else:
            places.append((("learner", "hyperparameters", DISTILL_FROM), shared, made))
    for j, entry in enumerate(s.schedule or ()):
        stage: Path = ("schedule", j, "hyperparameters", DISTILL_FROM)
        places += [(stage, entry.hyperparameters.get(DISTILL_FROM), made) for made in environments]
    for part in leaves(space):
        searched = getattr(getattr(part, "dimensions", {}).get(DISTILL_FROM), "choices", ())
        places += [(("search", "space"), one, made) for one in searched for made in environments]
    seen = set()
    for where, reference, made in places:
        if not isinstance(reference, str) or reference == NOBODY or where in seen:
            continue
        try:
            distilled(reference, made)
        except UsageError as error:
            seen.add(where)
            yield Finding(where, str(error).removesuffix("."), reference)
