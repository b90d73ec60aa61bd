"""Pictures of phase portraits: every part is where mathematics says it is, and is drawn only if it is there.

The fields are h_i' = (A h)_i - h_i (B (h o h))_i: Stuart-Landau for A = [[1, -omega], [omega, 1]] and ones
in B, two independent bistable units (x - x^3 each) for A = B = I.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
import pytest
from jaxtyping import Array, Float
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

import gru_sweep as gs
from gru_sweep import plotting
from gru_sweep.analysis import portrait as analysis
from gru_sweep.plotting.orbits import orbits
from gru_sweep.records import InputError, Kind, Status
from textbook import TEXTBOOK

SN, SF, UN, UF, SADDLE, DEGENERATE = list(Kind)[1:]
STARTS = [[0.3, 1.1], [-1.2, 0.4], [0.9, -0.8]]


class Field(eqx.Module):
    A: Float[Array, "2 2"]
    B: Float[Array, "2 2"]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        return self.A @ h - h * (self.B @ (h * h))


@dataclasses.dataclass(frozen=True)
class Portrait:
    """What a picture needs of a `PhasePortrait`, from closed forms."""

    field: Callable
    points: list[tuple[tuple[float, float], Kind]]
    cycles: tuple[tuple[tuple[float, float], float, bool], ...] = ()  # point, period, stable
    lower: np.ndarray = dataclasses.field(default_factory=lambda: np.array([-1.5, -1.5]))
    upper: np.ndarray = dataclasses.field(default_factory=lambda: np.array([1.5, 1.5]))
    status: int = Status.OK
    topology: str = "a,label"
    branch_end: np.ndarray = dataclasses.field(default_factory=lambda: np.full((16, 4), -1))

    @staticmethod
    def _padded(rows, n: int, fill: float) -> np.ndarray:
        rows = np.asarray(rows)
        return np.concatenate([rows, np.full((n - len(rows), *rows.shape[1:]), fill, rows.dtype)])

    @property
    def fixed_point(self) -> np.ndarray:
        return self._padded([h for h, _ in self.points], 16, np.nan)

    @property
    def kind(self) -> np.ndarray:
        return self._padded([int(kind) for _, kind in self.points], 16, -1)

    @property
    def cycle_point(self) -> np.ndarray:
        return self._padded(np.reshape([c[0] for c in self.cycles], (-1, 2)), 8, np.nan)

    @property
    def cycle_period(self) -> np.ndarray:
        return self._padded(np.array([c[1] for c in self.cycles], float), 8, np.nan)

    @property
    def cycle_stable(self) -> np.ndarray:
        return self._padded(np.array([int(c[2]) for c in self.cycles], int), 8, -1)


def stuart_landau(omega: float = 2.0, rate: float = 1.0) -> Portrait:
    """r' = rate r (1 - r^2), theta' = rate omega: the unit circle, stable for rate > 0."""
    field = Field(rate * np.array([[1.0, -omega], [omega, 1.0]]), rate * np.ones((2, 2)))
    cycle = ((1.0, 0.0), 2 * math.pi / abs(omega * rate), rate > 0)
    return Portrait(field, [((0.0, 0.0), UF if rate > 0 else SF)], (cycle,))


def bistable() -> Portrait:
    """x' = x - x^3, y' = y - y^3: sinks at (+-1, +-1), saddles at (+-1, 0) and (0, +-1), a source at 0."""
    values = [-1.0, 0.0, 1.0]
    kinds = [[SN, SADDLE, SN], [SADDLE, UN, SADDLE], [SN, SADDLE, SN]]
    points = [((x, y), kinds[i][j]) for i, x in enumerate(values) for j, y in enumerate(values)]
    return Portrait(Field(np.eye(2), np.eye(2)), points)


def gru() -> Portrait:
    """h_i' = (tanh(3 h_i) - h_i) / 2: two bistable gated units, at 0 and the roots of h = tanh(3 h)."""
    s = 1.0
    for _ in range(60):
        s = math.tanh(3 * s)
    shape = bistable()
    points = [((s * x, s * y), kind) for (x, y), kind in shape.points]
    return Portrait(gs.GRU(U_h=6 * np.eye(2)), points, lower=np.full(2, -1.0), upper=np.full(2, 1.0))


def draw(portrait, **options):
    figure = Figure(layout="constrained")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = gs.plot.portrait(portrait, ax=figure, **options)
        figure.canvas.draw()
    return axes


def lines(axes, label: str) -> list[np.ndarray]:
    (found,) = [c for c in axes.collections if c.get_label() == label] or [None]
    return [] if found is None else found.get_segments()


def curves(portrait, **options):
    return orbits(portrait, np.array(STARTS), portrait.lower, portrait.upper, **options)


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.fixture(scope="module")
def nine():
    return draw(bistable())


def test_there_is_a_marker_for_every_fixed_point_and_one_look_for_every_kind(nine):
    drawn = {one.get_label(): one for one in nine.lines}
    assert {label: len(one.get_xdata()) for label, one in drawn.items()} == {
        "stable node": 4,
        "unstable node": 1,
        "saddle": 4,
    }
    np.testing.assert_array_equal(
        np.sort(drawn["saddle"].get_xydata(), axis=0), [[-1, -1], [0, 0], [0, 0], [1, 1]]
    )
    assert drawn["stable node"].get_markerfacecolor() == "black"
    assert drawn["unstable node"].get_markerfacecolor() == "white"


def test_kinds_can_be_told_apart_without_colour():
    looks = {
        (
            style["marker"],
            style.get("fillstyle", "full"),
            round(sum(to_rgba(style["markerfacecolor"])[:3]), 1),
        )
        for style in plotting.styles.MARKERS.values()
    }
    assert len(looks) == len([kind for kind in Kind if kind != Kind.NOT_COMPUTED])


def test_the_legend_lists_only_what_is_there(nine):
    rates = [r"$\mathrm{d}h_1/\mathrm{d}t = 0$", r"$\mathrm{d}h_2/\mathrm{d}t = 0$"]
    assert words(nine) == [
        *rates,
        "trajectory",
        "stable manifold",
        "unstable manifold",
        "stable node",
        "unstable node",
        "saddle",
    ]
    axes = draw(stuart_landau(), trajectories=False)
    assert words(axes) == [*rates, "stable cycle", "unstable focus"]
    axes = draw(bistable(), trajectories=False, nullclines=False, separatrices=False)
    assert words(axes) == ["stable node", "unstable node", "saddle"]
    assert draw(stuart_landau(), legend=False).get_legend() is None


def test_separatrices_run_from_the_saddles_to_their_ends():
    found = curves(bistable())
    assert len(found.unstable_manifolds) == len(found.stable_manifolds) == 8
    for saddle, out in zip(
        np.repeat([[-1, 0], [0, -1], [0, 1], [1, 0]], 2, axis=0), found.unstable_manifolds
    ):
        np.testing.assert_array_equal(out[0], saddle)
        np.testing.assert_allclose(np.abs(out[-1]), 1.0, atol=1e-6)
        # the invariant lines x = +-1 and y = +-1
        np.testing.assert_allclose(np.abs(out[:, np.flatnonzero(saddle)]), 1.0, atol=1e-7)
    ends = np.array([line[-1] for line in found.stable_manifolds])
    inwards = np.abs(ends).max(axis=1) < 1e-5
    assert inwards.sum() == 4
    spacing = 6 * 3 / 2000
    assert np.all(
        (np.abs(ends[~inwards]).max(axis=1) >= 1.5) & (np.abs(ends[~inwards]).max(axis=1) < 1.5 + spacing)
    )


def test_separatrices_of_a_gated_unit_reach_its_fixed_points():
    portrait = gru()
    s = portrait.points[-1][0][0]
    found = curves(portrait)
    ends = np.array([line[-1] for line in found.unstable_manifolds])
    np.testing.assert_allclose(np.abs(ends), s, atol=1e-6)
    inner = [line for line in found.stable_manifolds if np.abs(line[-1]).max() < 0.5]
    assert len(inner) == 4
    assert all(np.abs(line[-1]).max() < 1e-5 for line in inner)


@pytest.mark.parametrize(("rate", "label"), [(1.0, "stable cycle"), (-1.0, "unstable cycle")])
def test_cycles_close_and_lie_where_they_should(rate, label):
    axes = draw(stuart_landau(rate=rate), trajectories=False)
    (circle,) = lines(axes, label)
    np.testing.assert_array_equal(circle[0], circle[-1])
    np.testing.assert_allclose(np.hypot(*circle.T), 1.0, atol=1e-6)
    turned = np.unwrap(np.arctan2(circle[:, 1], circle[:, 0]))
    assert abs(turned[-1] - turned[0]) == pytest.approx(2 * math.pi)
    assert not lines(axes, "stable cycle" if rate < 0 else "unstable cycle")
    (drawn,) = [c for c in axes.collections if c.get_label() == label]
    ((_, dashes),) = drawn.get_linestyle()
    assert (dashes is None) == (rate > 0)


def test_a_cycle_with_a_slow_passage_is_sampled_as_evenly_as_any():
    case = TEXTBOOK["SNIC, period 4443"]
    ((origin, _, kind),) = case.points
    portrait = Portrait(case.field, [(origin, kind)], (((0.0, -1.0), case.cycles[0].period, True),))
    (circle,) = curves(portrait).stable_cycles
    gaps = np.hypot(*np.diff(circle, axis=0).T)
    np.testing.assert_array_equal(circle[0], circle[-1])
    np.testing.assert_allclose(np.hypot(*circle.T), 1.0, atol=1e-5)
    assert gaps.sum() == pytest.approx(2 * math.pi, rel=1e-4)
    assert gaps[:-1].max() < 1.01 * gaps[:-1].min()


def test_curves_do_not_depend_on_the_speed_of_time():
    slow, fast = curves(stuart_landau()), curves(stuart_landau(rate=1e-4))
    for one, other in zip(slow.trajectories, fast.trajectories, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_trajectories_start_where_they_are_asked_to_and_follow_the_flow():
    axes = draw(bistable(), trajectories=STARTS)
    drawn = lines(axes, "trajectory")
    np.testing.assert_array_equal([line[0] for line in drawn], STARTS)
    np.testing.assert_allclose([line[-1] for line in drawn], np.sign(STARTS), atol=1e-5)
    for line in drawn:
        # both factors decay as exp(-2 t)
        u, v = line.T**-2 - 1
        np.testing.assert_allclose(u * v[0], v * u[0], atol=1e-5)
    assert lines(draw(bistable(), trajectories=False), "trajectory") == []


def test_nullclines_are_where_the_rates_vanish():
    axes = draw(bistable())
    sets = [c for c in axes.collections if isinstance(c, QuadContourSet)]
    assert len(sets) == 2
    for unit, one in enumerate(sets):
        values = np.concatenate([path.vertices[:, unit] for path in one.get_paths()])
        np.testing.assert_allclose(values, values.round(), atol=1e-3)
        assert set(values.round()) == {-1.0, 0.0, 1.0}


def test_colour_is_the_speed_on_a_logarithmic_scale_with_its_unit(nine):
    (image,) = nine.images
    speed = image.get_array()
    left, right, bottom, top = image.get_extent()
    n = speed.shape[0]
    x = left + (right - left) * (np.arange(n) + 0.5) / n
    u, v = np.meshgrid(x - x**3, x - x**3)
    np.testing.assert_allclose(speed, np.maximum(np.hypot(u, v), image.norm.vmin), rtol=1e-9)
    assert type(image.norm).__name__ == "LogNorm"
    assert (left, right) == pytest.approx((bottom, top))
    (bar,) = nine.child_axes
    assert bar.get_ylabel().endswith("(1/time)")
    assert draw(stuart_landau(), trajectories=False, colorbar=False).child_axes == []


def test_arrows_are_as_long_as_each_other_and_point_along_the_flow(nine):
    (arrows,) = [c for c in nine.collections if isinstance(c, Quiver)]
    np.testing.assert_allclose(np.hypot(arrows.U, arrows.V), 1.0)
    rate = arrows.XY - arrows.XY**3
    np.testing.assert_allclose(
        np.stack([arrows.U, arrows.V], -1), rate / np.hypot(*rate.T)[:, None], atol=1e-9
    )


def test_axes_are_named_and_equal_and_the_view_can_be_chosen(nine):
    assert (nine.get_xlabel(), nine.get_ylabel(), nine.get_aspect()) == ("$h_1$", "$h_2$", 1.0)
    assert nine.get_xlim()[0] < -1.5 < 1.5 < nine.get_xlim()[1]
    axes = draw(bistable(), lower=(0.5, -0.3), upper=(1.2, 0.4))
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.5, 1.2), (-0.3, 0.4))
    (saddle,) = axes.lines
    np.testing.assert_array_equal(saddle.get_xydata(), [[1, 0]])
    # the branch that comes from the source, out of the picture, is drawn through it
    assert min(np.abs(line[-1]).max() for line in lines(axes, "stable manifold")) < 1e-5


def test_what_is_not_resolved_is_said_in_the_title():
    title = lambda portrait, **options: draw(portrait, trajectories=False, **options).get_title()  # noqa: E731
    portrait = stuart_landau()
    assert title(portrait) == "a,label"
    unresolved = dataclasses.replace(portrait, status=int(Status.UNRESOLVED), topology="")
    assert title(unresolved) == "unresolved"
    assert title(unresolved, title="My network") == "My network (unresolved)"
    near = dataclasses.replace(portrait, status=int(Status.NEAR_BIFURCATION))
    assert title(near) == "a,label (near bifurcation)"


def test_a_field_that_is_nowhere_known_or_nowhere_moving_is_drawn():
    for value in (np.nan, 0.0):
        field = Field(np.full((2, 2), value), np.zeros((2, 2)))
        axes = draw(Portrait(field, [((0.0, 0.0), DEGENERATE)]))
        assert [one.get_label() for one in axes.lines] == ["degenerate"]
        assert words(axes)[-1] == "degenerate"


def test_the_precision_of_the_caller_neither_matters_nor_changes():
    expected = curves(bistable())
    with jax.enable_x64(False):
        portrait = bistable()
        single = jax.tree.map(lambda x: np.asarray(x, np.float32), portrait.field)
        found = curves(dataclasses.replace(portrait, field=single))
        assert not jax.config.jax_enable_x64
    for one, other in zip(expected.trajectories, found.trajectories, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_cell_and_a_field_are_solved_first(monkeypatch):
    asked = []

    def solve(source):
        asked.append(source)
        return gru()

    monkeypatch.setattr(analysis, "phase_portrait", solve, raising=False)
    cell = gs.GRU(U_h=6 * np.eye(2))
    assert len(draw(cell).lines) == 3
    draw(lambda h: -h)
    assert asked[0] is cell
    assert len(asked) == 2


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_pictures_are_written_in_the_format_of_their_ending(tmp_path, ending, magic):
    path = tmp_path / f"portrait{ending}"
    gs.plot.save_portrait(stuart_landau(), path)
    assert path.read_bytes().startswith(magic)


def test_saving_leaves_no_figure_behind_and_pyplot_makes_one_for_others(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    gs.plot.save_portrait(stuart_landau(), tmp_path / "portrait.png", trajectories=False)
    assert plt.get_fignums() == before
    axes = gs.plot.portrait(stuart_landau(), trajectories=False)
    assert plt.fignum_exists(axes.figure.number)
    plt.close(axes.figure)


def test_it_draws_in_the_axes_it_is_given():
    left, right = Figure().subplots(1, 2)
    assert gs.plot.portrait(stuart_landau(), ax=right, trajectories=False) is right
    assert not left.has_data()
    assert any(isinstance(one, LineCollection) for one in right.collections)


@pytest.mark.parametrize("name", ["portrait.jpg", "portrait", "none/portrait.png"])
def test_paths_that_cannot_be_written_are_refused_before_any_work(tmp_path, name):
    with pytest.raises(InputError, match=r"^path: expected "):
        gs.plot.save_portrait(None, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (gs.GRU(U_h=np.eye(3)), "source: expected a planar system, got one of 3 units"),
        (
            dataclasses.replace(stuart_landau(), lower=np.zeros(4), upper=np.ones(4)),
            "source: expected a planar system, got one of 4 units",
        ),
        (
            dataclasses.replace(stuart_landau(), field=None),
            "source: expected a phase portrait with its field",
        ),
        ("cell.json", "source: expected a phase portrait with its field, .* got cell.json"),
    ],
)
def test_what_is_no_planar_system_is_refused_in_one_line(source, message):
    with pytest.raises(InputError, match=message) as refusal:
        gs.plot.portrait(source, ax=Figure())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trajectories": [0.0, 1.0]}, r"trajectories: expected finite numbers of shape \(n, 2\)"),
        ({"trajectories": [[0.0, np.nan]]}, "trajectories: expected finite numbers"),
        ({"lower": (0.0,)}, r"lower: expected finite numbers of shape \(2,\), got \(0.0,\)"),
        ({"lower": (1.0, 0.0), "upper": (0.0, 1.0)}, "lower, upper: expected two corners"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        gs.plot.portrait(stuart_landau(), ax=Figure(), **options)
