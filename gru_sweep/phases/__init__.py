"""Large random networks over their gains: what is asked of them at every point of a grid.

`MEASURES` names the questions. Each point has the networks of a few seeds, simulated, and theory beside them.
"""

from .diagram import PHASE_DIAGRAM
from .exponents import LYAPUNOV
from .measure import Measure as Measure
from .spectra import SPECTRUM

MEASURES: dict[str, Measure] = {one.name: one for one in (SPECTRUM, LYAPUNOV, PHASE_DIAGRAM)}
