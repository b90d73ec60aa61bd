"""Large random networks with gates.

Theory for infinitely many units: fixed points (`mean_field`, with biases `biased`), correlations in time and
chaos (`dmft`, at any tau_r `correlations`), `critical` gains, clouds of eigenvalues (`sites`, `clouds`,
`boundaries`).
Simulation: `jacobians`, `trajectories`, and `driven` networks.
"""

from .critical import CriticalGains as CriticalGains
from .critical import critical_gains as critical_gains
from .dmft import ChaoticState as ChaoticState
from .dmft import chaotic_states as chaotic_states
from .mean_field import FixedPointState as FixedPointState
from .mean_field import fixed_points as fixed_points
