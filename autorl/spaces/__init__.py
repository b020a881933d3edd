"""What may be searched: hyperparameters with ranges and conditions, named arrays, and products of spaces.

A space makes, changes, checks and names candidates; it holds no state and draws only from the keys that it is given. Needs
nothing but numpy.
"""

from autorl.spaces.arrays import ArraySpace
from autorl.spaces.dimensions import Bool, Categorical, Dimension, Fixed, Float, Int
from autorl.spaces.files import load_space, resolve_space
from autorl.spaces.hyperparameters import Condition, HyperparameterSpace
from autorl.spaces.product import ProductSpace
from autorl.spaces.protocol import FEATURES, Candidate, Space, Value

__all__ = [
    "FEATURES",
    "ArraySpace",
    "Bool",
    "Candidate",
    "Categorical",
    "Condition",
    "Dimension",
    "Fixed",
    "Float",
    "HyperparameterSpace",
    "Int",
    "ProductSpace",
    "Space",
    "Value",
    "load_space",
    "resolve_space",
]
