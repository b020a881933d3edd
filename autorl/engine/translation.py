"""Candidates of one study as candidates of another, whose space or fixed hyperparameters differ. Imports no jax by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autorl.engine.methods import learner_defaults
from autorl.errors import UsageError
from autorl.spaces import HyperparameterSpace, load_space
from autorl.spaces.dimensions import same
from autorl.spaces.plain_values import of_teacher
from autorl.studies.specification import Specification


class Untranslatable(Exception):
    """A candidate trained what the other study's space cannot say; the message names the hyperparameter and why."""


@dataclass(frozen=True)
class Translation:
    """From candidates of an old study to those of a new one that train the same.

    A candidate is translated if all the hyperparameters that it trained with, defaults and fixed ones included, are those of a point
    of the new space. A new dimension so has the value that was fixed before, never a made-up one.

    Attributes:
        same_space: Whether space and fixed hyperparameters are the same, so that candidates stay as they are.
        old: The old space.
        new: The new space.
        before: What the old study trained with beside its candidates, in each of its environments.
        now: The same of the new study.
    """

    same_space: bool
    old: HyperparameterSpace | None
    new: HyperparameterSpace | None
    before: Sequence[Mapping[str, Any]]
    now: Sequence[Mapping[str, Any]]

    @classmethod
    def into(cls, new: Specification) -> Translation:
        """Return the translation of candidates of which nothing is known but what they say."""
        return cls(False, None, _listed(new), ({},), ({},))

    @classmethod
    def between(cls, old: Specification, new: Specification, *, points: bool = False) -> Translation:
        """Return the translation; raise `UsageError` where a space changed that is no list of hyperparameters.

        Args:
            old: The earlier study.
            new: The new one.
            points: Only points of the new space are wanted, that may train otherwise in its environments and with what it fixes.
        """
        assert old.search is not None
        assert new.search is not None
        if (old.search.space, _fixed(old)) == (new.search.space, _fixed(new)):
            return cls(True, None, None, (), ())
        return cls(
            False, _listed(old), _listed(new), _beside(old)[: 1 if points else None], () if points else _beside(new)
        )

    def __call__(self, candidate: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the candidate of the new space, both as a record has them.

        Raises:
            Untranslatable: There is none that trains the same.
        """
        if self.new is None:
            return candidate
        trained = [{**beside, **candidate} for beside in self.before]
        made = self.new.to_json(self.new.build(lambda name: self._value(name, trained[0])))
        for before, beside in zip(trained, self.now, strict=False):
            after = {**beside, **made}
            for name, value in before.items():
                if name not in after:
                    raise Untranslatable(f"{name} is not searched any more")
                if not same(value, after[name]):
                    raise Untranslatable(f"{name} is fixed at another value")
        return made

    def _value(self, name: str, trained: Mapping[str, Any]) -> Any:
        assert self.new is not None
        dimension = self.new.dimensions[name]
        if name not in trained:
            raise Untranslatable(f"{name} had no value")
        if dimension.validate(trained[name]) is not None:
            raise Untranslatable(f"{name} is out of range")
        return dimension.normal(trained[name])


def _listed(specification: Specification) -> HyperparameterSpace:
    """Return a study's space; raise `UsageError` if it is no list of a learner's hyperparameters."""
    assert specification.search is not None
    space = load_space(specification.search.space)
    if not isinstance(space, HyperparameterSpace) or any(map(of_teacher, space.dimensions)):
        raise UsageError(
            f"search.warm_start: candidates of space {space.name!r} cannot be translated from or into another one: it is no list of a "
            "learner's hyperparameters. Remedy: a study of the same space."
        )
    return space


def _fixed(specification: Specification) -> dict[str, Any]:
    return {} if specification.learner is None else dict(specification.learner.hyperparameters)


def _beside(specification: Specification) -> list[dict[str, Any]]:
    """Return the hyperparameters beside a candidate's, in each environment; of a user's own objective nobody knows any."""
    defaults = {} if specification.learner is None else learner_defaults(specification.learner.algorithm)
    fixed = {**defaults, **_fixed(specification)}
    return [{**fixed, **choice.hyperparameters} for choice in specification.environments] or [fixed]
