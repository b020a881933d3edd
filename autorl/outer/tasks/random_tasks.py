"""Training tasks drawn without replacement: the baseline of every method."""

from __future__ import annotations

from typing import ClassVar

from autorl.keys import derive, generator
from autorl.outer.tasks.protocol import TaskSelection, Trained, first_left


class RandomTasks(TaskSelection):
    """An order of all tasks, drawn once."""

    name: ClassVar[str] = "random"
    chooses: ClassVar[str] = "The next training task, at random."
    reference: ClassVar[str] = "Tobin et al., 2017, Domain Randomization for Transferring Deep Neural Networks"

    def _ask(self, state: Trained) -> int:
        order = generator(derive(self.seed, "order of tasks")).permutation(len(self.tasks))
        return first_left(order, state.chosen)
