"""Features of tasks: what tells them apart for people, with the range and the scale that each is read on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Feature(NamedTuple):
    """One number that tells tasks apart. Where it lies in its range is a part, from 0 to 1.

    Attributes:
        name: Public name.
        low: Its value at part 0.
        high: Its value at part 1.
        log: Whether equal ratios, not differences, are equally far apart; needs ``low`` > 0.
        whole: Whether its values are whole numbers; 0 and 1 are no and yes.
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, parts: ArrayLike) -> NDArray[np.float64]:
        """Return the values at ``parts``, of any shape; parts beyond [0, 1] go on beyond the range."""
        where: NDArray[Any] = np.asarray(parts, np.float64)
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** where, np.float64)
        return np.asarray(self.low + where * (self.high - self.low), np.float64)
