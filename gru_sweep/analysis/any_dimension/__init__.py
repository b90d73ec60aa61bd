"""Fixed points in any dimension: all, with proofs, for a few units; what many starts find beyond."""

from .record import FixedPointsOfAnyDimension as FixedPointsOfAnyDimension
from .search import fixed_points as fixed_points
from .zeros import Zeros as Zeros
from .zeros import zeros as zeros
