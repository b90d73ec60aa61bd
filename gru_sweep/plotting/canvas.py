"""Where a picture goes: the file it is written to, the figure it is drawn in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..records import InputError

ENDINGS = (".png", ".pdf", ".svg")
DPI = 200


def check(path: str | os.PathLike[str], shape: Sequence[int] | None = None, argument: str = "--plot") -> None:
    """Refuse a picture that could not be written, or of a grid of that `shape` that could not be drawn.

    `argument` is who is to blame.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(argument, f"a file name ending in {', '.join(ENDINGS)}", str(path))
    if not path.parent.is_dir():
        raise InputError(argument, "a file in an existing folder", str(path))
    if path.is_dir():
        raise InputError(argument, "a file", f"the folder {path}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(argument, "a file that can be written", str(path))
    if shape is not None:
        check_shape(shape, argument)


def check_shape(shape: Sequence[int], argument: str) -> None:
    """Refuse a grid without one to three axes of more than one value."""
    axes = sum(size > 1 for size in shape)
    if not 1 <= axes <= 3:
        raise InputError(argument, "a sweep with one to three axes of more than one value", f"{axes}")


def one_axes(ax: Axes | Figure | SubFigure | None) -> Axes:
    """`ax` itself, or the only Axes of the figure that it is or, if None, of a new one."""
    return ax if isinstance(ax, Axes) else figure_of(ax).subplots()


def figure_of(ax: Figure | SubFigure | None) -> Figure | SubFigure:
    """The figure to fill; a new pyplot figure if None."""
    if ax is not None:
        return ax
    # pyplot shows the figure in notebooks; it is imported only for a caller who wants that.
    import matplotlib.pyplot as plt

    return plt.figure(layout="constrained")
