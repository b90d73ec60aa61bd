"""Every picture: maps of a sweep (`heatmap`), bifurcation curves (`curves`), phase portraits
(`portrait`), learning curves (`learning_curves`), spectra of random networks (`clouds`)."""

from __future__ import annotations

from .canvas import ENDINGS, check
from .curves import curves, save_curves
from .diagrams import diagram, save_diagram
from .learning import learning_curves, save_learning_curves
from .maps import MAX_PANELS, heatmap, save
from .portraits import portrait, save_portrait
from .spectra import clouds

__all__ = [
    "ENDINGS",
    "MAX_PANELS",
    "check",
    "clouds",
    "curves",
    "diagram",
    "heatmap",
    "learning_curves",
    "portrait",
    "save",
    "save_curves",
    "save_diagram",
    "save_learning_curves",
    "save_portrait",
]
