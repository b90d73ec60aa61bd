"""Pictures: what is drawn where, and which pictures are refused."""

import math

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure

from gru_sweep import plotting
from gru_sweep.plotting import labels
from gru_sweep.records import InputError, Status


def dataset(na=8, nb=6, ns=None):
    """A disc of cycles in (alpha, beta), one unresolved point, three topology classes."""
    alpha, beta = np.linspace(0, np.pi, na), np.linspace(1, 3, nb)
    coords = {
        "alpha": ("alpha", alpha, {"long_name": "rotation angle", "units": "radian"}),
        "beta": ("beta", beta, {"long_name": "gain", "units": "1"}),
    }
    dims = ("alpha", "beta")
    grid = np.meshgrid(alpha, beta, indexing="ij")
    if ns is not None:
        coords["s"] = ("s", np.linspace(-2, 2, ns), {"long_name": "reset gate bias", "units": "1"})
        dims = (*dims, "s")
        grid = np.meshgrid(alpha, beta, coords["s"][1], indexing="ij")
    inside = (grid[0] < 2) & (grid[1] > 1.85)
    frequency = np.where(inside, 0.1 + 0.05 * grid[0], np.nan)
    status = np.zeros(inside.shape, np.int8)
    status.flat[-1] = Status.UNRESOLVED
    topology = inside.astype(np.int32)
    topology.flat[-1] = -1
    return xr.Dataset(
        {
            "frequency": (dims, frequency, {"long_name": "frequency", "units": "1/time"}),
            "status": (dims, status),
            "topology": (
                dims,
                topology,
                {"flag_values": np.array([-1, 0, 1]), "flag_meanings": "not_computed quiet cycling"},
            ),
            "n_sinks": (dims, np.where(inside, 0, 1).astype(np.int16), {"long_name": "sinks", "units": "1"}),
            "amplitude": ((*dims, "unit"), np.zeros((*inside.shape, 2))),
        },
        coords=coords,
    )


def draw(data, variable="frequency", **options):
    figure = Figure(layout="constrained")
    axes = plotting.heatmap(data, variable, ax=figure, **options)
    figure.canvas.draw()
    return figure, axes


def mesh(axes) -> QuadMesh:
    return next(one for one in axes.collections if isinstance(one, QuadMesh))


def test_colours_are_the_values_and_white_is_no_cycle():
    ds = dataset()
    _, axes = draw(ds)
    drawn = mesh(axes).get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn), np.isnan(ds.frequency.values.T))
    np.testing.assert_allclose(drawn.compressed(), ds.frequency.values.T[np.isfinite(ds.frequency.values.T)])
    assert mesh(axes).get_rasterized()
    assert axes.get_xlabel() == r"rotation angle $\alpha$ (radian)"
    assert axes.get_ylabel() == r"gain $\beta$"


def test_the_colour_bar_names_the_unit():
    figure, axes = draw(dataset())
    bar = next(one for one in figure.axes if one is not axes)
    assert bar.get_ylabel() == "frequency (1/time)"


def test_angles_are_fractions_of_pi():
    _, axes = draw(dataset())
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"$0$", r"$\pi/2$", r"$\pi$"} <= set(labels)
    _, axes = draw(dataset().isel(alpha=slice(2, 4)))
    assert all("pi" in label.get_text() for label in axes.get_xticklabels())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "$0$"),
        (math.pi, r"$\pi$"),
        (3.14159265, r"$\pi$"),
        (-math.pi / 4, r"$-\pi/4$"),
        (3 * math.pi / 8, r"$3\pi/8$"),
        (1.0, r"$0.3183\,\pi$"),
    ],
)
def test_fractions_of_pi(value, text):
    assert labels.in_pi(value) == text


def test_unresolved_points_are_hatched_on_their_pixel():
    ds = dataset()
    _, axes = draw(ds)
    (hatched,) = [one for one in axes.collections if isinstance(one, PolyCollection)]
    assert hatched.get_hatch()
    (path,) = hatched.get_paths()
    corners = path.vertices[:4]
    assert corners[:, 0].min() < np.pi < corners[:, 0].max()
    assert corners[:, 1].min() < 3 < corners[:, 1].max()


def test_curves_run_between_pixels_of_different_topology_and_not_around_unknown_ones():
    ds = dataset()
    _, axes = draw(ds)
    (lines,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    # The five by three pixels with a cycle lie in a corner; the unresolved one is elsewhere.
    assert int((ds.topology == 1).sum()) == 15
    assert len(lines.get_segments()) == 5 + 3
    _, axes = draw(ds, curves="")
    assert not [one for one in axes.collections if isinstance(one, LineCollection)]


def test_a_file_without_labels_falls_back_on_counts():
    ds = dataset()
    ds["n_fixed_points"] = ds.topology.clip(0)
    ds["topology"] = xr.full_like(ds.topology, -1)
    _, axes = draw(ds)
    (lines,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    assert len(lines.get_segments()) > 0


def test_flags_and_counts_are_discrete():
    figure, axes = draw(dataset(), "topology")
    bar = next(one for one in figure.axes if one is not axes)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["quiet", "cycling"]
    assert np.ma.getmaskarray(mesh(axes).get_array()).sum() == 1
    figure, axes = draw(dataset(), "n_sinks")
    bar = next(one for one in figure.axes if one is not axes)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "1"]


def test_one_axis_is_a_line_with_gaps():
    ds = dataset().isel(beta=-1)
    _, axes = draw(ds)
    (line,) = [one for one in axes.lines if len(one.get_xdata()) == ds.sizes["alpha"]]
    np.testing.assert_array_equal(line.get_ydata(), ds.frequency.values)
    assert axes.get_ylabel() == "frequency (1/time)"


def test_three_axes_are_at_most_nine_panels_on_one_scale():
    _, panels = draw(dataset(ns=20))
    assert len(panels) == plotting.MAX_PANELS
    assert len({mesh(panel).norm.vmax for panel in panels}) == 1
    assert panels[0].get_title() == "s = -2"
    assert panels[-1].get_title() == "s = 2"
    with pytest.raises(InputError, match="three axes"):
        plotting.heatmap(dataset(ns=3), ax=Figure().subplots())


def test_an_axis_of_one_value_is_left_out_and_descending_axes_are_turned():
    assert len(draw(dataset(ns=1))[0].axes) == 2
    ds = dataset()
    _, ascending = draw(ds)
    _, descending = draw(ds.isel(alpha=slice(None, None, -1)))
    np.testing.assert_array_equal(mesh(ascending).get_array(), mesh(descending).get_array())


def test_geometric_axes_are_logarithmic():
    ds = dataset().assign_coords(beta=("beta", np.geomspace(1, 100, 6), {"long_name": "gain"}))
    _, axes = draw(ds)
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")


def test_a_map_without_any_cycle_is_drawn():
    ds = dataset()
    ds["frequency"] = xr.full_like(ds.frequency, np.nan)
    _, axes = draw(ds)
    assert np.ma.getmaskarray(mesh(axes).get_array()).all()


def test_a_variable_alone_serves_and_pyplot_makes_the_figure():
    import matplotlib.pyplot as plt

    axes = plotting.heatmap(dataset().frequency)
    assert plt.fignum_exists(axes.figure.number)
    plt.close(axes.figure)


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_pictures_are_written_in_the_format_of_their_ending(tmp_path, ending, magic):
    path = tmp_path / f"map{ending}"
    plotting.save(dataset(), path)
    assert path.read_bytes().startswith(magic)


def test_saving_leaves_no_figure_behind(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plotting.save(dataset(), tmp_path / "map.png")
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("map.jpg", None, "--plot: expected a file name ending in .png, .pdf, .svg, got .*map.jpg"),
        ("map", None, "ending in"),
        ("none/map.png", None, "existing folder"),
        ("map.png", (2, 2, 2, 2), "one to three axes"),
        ("map.png", (1, 1), "one to three axes"),
    ],
)
def test_pictures_that_cannot_be_made_are_refused(tmp_path, name, shape, message):
    with pytest.raises(InputError, match=message):
        plotting.check(tmp_path / name, shape)
    assert list(tmp_path.iterdir()) == []


def test_variables_that_are_no_map_are_refused():
    with pytest.raises(InputError, match=r"variable: .*did you mean 'frequency'"):
        plotting.heatmap(dataset(), "frequencies", ax=Figure())
    with pytest.raises(InputError, match="which also has unit"):
        plotting.heatmap(dataset(), "amplitude", ax=Figure())
    with pytest.raises(InputError, match="one to three axes"):
        plotting.heatmap(dataset().isel(alpha=0, beta=0), ax=Figure())


def test_every_colour_map_name_serves():
    _, axes = draw(dataset(), cmap="magma", vmin=0.0, vmax=1.0)
    assert mesh(axes).get_cmap() == mpl.colormaps["magma"]
    assert (mesh(axes).norm.vmin, mesh(axes).norm.vmax) == (0.0, 1.0)
