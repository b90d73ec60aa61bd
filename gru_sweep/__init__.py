"""gru_sweep maps the dynamics of gated recurrent networks over their parameters.

Coordinates become a cell, a cell becomes a portrait, portraits become a labelled map in one HDF5 file,
and the map becomes pictures. The public names stand below in that order; each is imported when it is
first used, so that importing the package costs nothing and touches no device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import plotting as plot
    from .analysis.portrait import phase_portrait
    from .analysis.topology import connection_graph
    from .analysis.topology import label as topology_label
    from .learning.course import train
    from .records import InputError, Kind, Status
    from .remaking import pack
    from .studies import MEASURES, sweep
    from .sweeps.store import open_dataset as open
    from .systems.cells import GRU
    from .systems.families import FAMILIES
    from .systems.weights import load as load_weights
    from .verifying.verification import verify

__version__ = "0.1.0"

# public name -> (module, name in it; None for the module itself)
_CONTENTS: dict[str, tuple[str, str | None]] = {
    "GRU": ("systems.cells", "GRU"),
    "load_weights": ("systems.weights", "load"),
    "FAMILIES": ("systems.families", "FAMILIES"),
    "phase_portrait": ("analysis.portrait", "phase_portrait"),
    "topology_label": ("analysis.topology", "label"),
    "connection_graph": ("analysis.topology", "connection_graph"),
    "MEASURES": ("measures", "MEASURES"),
    "sweep": ("studies", "sweep"),
    "locate": ("locating", "locate"),
    "curves": ("locating", "curves"),
    "train": ("learning.course", "train"),
    "open": ("sweeps.store", "open_dataset"),
    "image": ("sweeps.images", "image"),
    "verify": ("verifying.verification", "verify"),
    "pack": ("remaking", "pack"),
    "plot": ("plotting", None),
    "Status": ("records", "Status"),
    "Kind": ("records", "Kind"),
    "InputError": ("records", "InputError"),
}

__all__ = [
    "FAMILIES",
    "GRU",
    "MEASURES",
    "InputError",
    "Kind",
    "Status",
    "connection_graph",
    "curves",
    "image",
    "load_weights",
    "locate",
    "open",
    "pack",
    "phase_portrait",
    "plot",
    "sweep",
    "topology_label",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _CONTENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _CONTENTS[name]
    value: Any = importlib.import_module(f"{__name__}.{module}")
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
