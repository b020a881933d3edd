"""One hyperparameter as a plot axis: where a value stands, on the scale on which it was searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autorl.spaces import Bool, Categorical, Dimension, Fixed, Float, Int

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


def varies(dimension: Dimension) -> bool:
    """Return whether there is anything to see along the dimension."""
    return not isinstance(dimension, Fixed)


def discrete(dimension: Dimension) -> bool:
    """Return whether values are choices, drawn side by side at 0, 1, 2 ..."""
    return isinstance(dimension, Categorical | Bool)


def place(dimension: Dimension, value: Any) -> float | None:
    """Return where ``value`` is drawn; None for a value that is not of the dimension."""
    if dimension.validate(value) is not None:
        return None
    if isinstance(dimension, Categorical):
        return float(dimension.index(value))
    if isinstance(dimension, Float) and dimension.scale == "one_minus_log":
        return 1.0 - float(value)
    return float(value)


def scale(axes: Axes, which: str, dimension: Dimension) -> None:
    """Set scale, limits and tick labels of the ``x`` or ``y`` axis for values placed by `place`."""
    from matplotlib.ticker import FuncFormatter

    axis: Axis = getattr(axes, f"{which}axis")
    limit = getattr(axes, f"set_{which}lim")
    if discrete(dimension):
        choices = dimension.choices if isinstance(dimension, Categorical) else (False, True)
        axis.set_ticks(range(len(choices)), [word(choice) for choice in choices])
        limit(-0.5, len(choices) - 0.5)
        return
    assert isinstance(dimension, Float | Int)
    if isinstance(dimension, Float) and dimension.scale == "one_minus_log":
        _logarithmic(axes, which, 1 - dimension.high, 1 - dimension.low)
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{1 - value:.6g}"))
        limit(*reversed(_padded(1 - dimension.high, 1 - dimension.low)))
    elif (isinstance(dimension, Float) and dimension.scale == "log") or (isinstance(dimension, Int) and dimension.log):
        _logarithmic(axes, which, dimension.low, dimension.high)
        limit(*_padded(dimension.low, dimension.high))
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    else:
        margin = 0.03 * (dimension.high - dimension.low)
        limit(dimension.low - margin, dimension.high + margin)


def _logarithmic(axes: Axes, which: str, low: float, high: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    getattr(axes, f"set_{which}scale")("log")
    axis: Axis = getattr(axes, f"{which}axis")
    decades = high / low >= 50
    axis.set_major_locator(LogLocator(10, numticks=5 if which == "x" else 7) if decades else LogLocator(2, numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = (high / low) ** 0.04
    return low / margin, high * margin


def plain(value: float) -> str:
    """1e-6, 0.001, 128: without superscripts, and without the zeros of 1e-06."""
    text = f"{value:g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"
    return text.replace("e-0", "e-").replace("e+0", "e")


def word(choice: Any) -> str:
    """Return a choice as files write it."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)
