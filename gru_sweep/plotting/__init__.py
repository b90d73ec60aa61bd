"""Every picture: maps of a sweep (`heatmap`), phase portraits of one system (`portrait`)."""

from __future__ import annotations

from .canvas import ENDINGS, check
from .maps import MAX_PANELS, heatmap, save
from .portraits import portrait, save_portrait

__all__ = ["ENDINGS", "MAX_PANELS", "check", "heatmap", "portrait", "save", "save_portrait"]
