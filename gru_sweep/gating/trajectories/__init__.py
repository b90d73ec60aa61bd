"""Large random networks at many gains side by side: Lyapunov exponents, activity, and what motion it is.

Networks of one draw differ in gains only, so the products of a step with J_k are products of two matrices,
J_k and the states of all networks (`systems.ensembles`). A GRU or an LSTM is a map, of time 1, or its flow
where that is wanted; the gated RNN is a flow.
"""

from .following import Duration as Duration
from .following import Travelling as Travelling
from .following import advance as advance
from .following import finish as finish
from .following import halfway as halfway
from .following import init as init
from .following import restart as restart
from .following import trajectories as trajectories
from .motion import Motion as Motion
from .motion import Trajectory as Trajectory
from .motion import motion as motion
from .networks import STEP as STEP
from .networks import Networks as Networks
from .networks import networks as networks
