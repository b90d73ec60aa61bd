"""One vector field, many number systems: its jaxpr evaluated over scalars, duals, intervals and series."""

from .fusion import RECURRENCES as RECURRENCES
from .fusion import together as together
from .interpreter import UnsupportedPrimitive as UnsupportedPrimitive
from .interpreter import evaluate as evaluate
from .interpreter import supported as supported
from .interpreter import trace as trace
from .intervals import Interval as Interval
from .intervals import as_interval as as_interval
from .intervals import lift as lift
from .numbers import Dual as Dual
from .series import Tape as Tape
