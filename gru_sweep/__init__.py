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
    from .records import InputError, Kind, Status
    from .studies import MEASURES, sweep
    from .sweeps.store import open_dataset as open
    from .systems.cells import GRU
    from .systems.families import FAMILIES

__version__ = "0.1.0"

# public name -> (module, name in it; None for the module itself)
_CONTENTS: dict[str, tuple[str, str | None]] = {
    "GRU": ("systems.cells", "GRU"),
    "FAMILIES": ("systems.families", "FAMILIES"),
    "MEASURES": ("studies", "MEASURES"),
    "sweep": ("studies", "sweep"),
    "open": ("sweeps.store", "open_dataset"),
    "plot": ("plotting", None),
    "Status": ("records", "Status"),
    "Kind": ("records", "Kind"),
    "InputError": ("records", "InputError"),
}

__all__ = ["FAMILIES", "GRU", "MEASURES", "InputError", "Kind", "Status", "open", "plot", "sweep"]


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
