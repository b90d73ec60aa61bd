"""Large random networks with gates: averages over sites, mean field, correlations in time, critical gains."""

from .critical import CriticalGains as CriticalGains
from .critical import critical_gains as critical_gains
from .dmft import ChaoticState as ChaoticState
from .dmft import chaotic_states as chaotic_states
from .mean_field import FixedPointState as FixedPointState
from .mean_field import fixed_points as fixed_points
