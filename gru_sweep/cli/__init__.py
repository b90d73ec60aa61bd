"""The command line `gru-sweep`: the only place that prints, parses arguments or configures JAX globally.

Results go to standard output, everything else to standard error. Exit status: 0 done; 2 a bad argument,
found before any work (one line); 1 anything else that stopped the work; 130 or 143 after Ctrl-C or
SIGTERM, with the block in hand finished and the sweep resumable.

JAX is imported inside the commands, so that `--help` is quick.
"""

from . import bifurcations as bifurcations
from . import checking as checking
from . import files as files
from . import gating as gating
from . import portraits as portraits
from . import sweeping as sweeping
from . import training as training
from .application import app as app
from .compiling import use_compilation_cache as use_compilation_cache
from .entry import main as main
