"""Lyapunov exponents of any map or flow, and the Kaplan-Yorke dimension."""

from .flow_map import RK4 as RK4
from .flow_map import FlowMap as FlowMap
from .flow_map import flow_map as flow_map
from .spectrum import LyapunovSpectrum as LyapunovSpectrum
from .spectrum import kaplan_yorke as kaplan_yorke
from .tangents import Following as Following
from .tangents import advance as advance
from .tangents import finish as finish
from .tangents import init as init
from .tangents import lyapunov_spectrum as lyapunov_spectrum
from .tangents import restart as restart
