"""Phase diagrams, and training across them, run quickly: verdicts follow from what is in the files."""

import numpy as np
import pytest
import xarray as xr

import gru_sweep as gs
from gru_sweep.gating.trajectories import Motion
from gru_sweep.records import Status


def test_phase_diagrams_count_what_is_in_their_files(quick):
    module, found, folder = quick("gating_phase_diagrams")
    names = {path.name for path in folder.iterdir()}
    stems = {diagram.file for diagram in module.QUICK}
    endings = {f"{stem}{ending}" for stem in stems for ending in (".h5", ".png")}
    assert names == endings | {"gating_phase_diagrams.json", "gating_phase_diagrams.md"}
    for diagram, row in zip(module.QUICK, found["diagrams"], strict=True):
        with gs.open(folder / f"{diagram.file}.h5") as data:
            ok = data.status == Status.OK
            assert row["ok"] == int(ok.sum())
            zero = ok & (data.mean_field_count == 1) & (np.log(data.K_zero) < -module.NEAR)
            assert row["at_zero_where_zero_alone_is_stable"] == {
                "count": int((zero & (data.motion == Motion.AT_ZERO)).sum()),
                "of": int(zero.sum()),
            }
            assert zero.any()
    of = found["dimension"]
    assert np.shape(of["dimension"]) == (len(of["alpha_r"]), module.QUICK_DIMENSION["networks"])


def test_training_starts_from_what_it_says(quick):
    _, found, folder = quick("gating_training")
    assert found["all_finite"]
    with xr.open_dataset(folder / "gating_training.h5", engine="h5netcdf") as data:
        last = data.unexplained.isel(update=-1)
        for row in found["rows"]:
            here = {"a_h": row["a_h"], "a_z": row["a_z"]}
            np.testing.assert_allclose(last.sel(here), row["unexplained"])
            assert row["exponent"] == pytest.approx(float(data.exponent.sel(here).mean()))
            assert row["learnt"] == int((data.updates_needed.sel(here) >= 0).sum())
    # an untrained readout explains nothing, and a network is not worse than none for long
    assert float(data.unexplained.isel(update=0).min()) > 0.5
    assert float(last.median()) < 1.1


def test_ranks_average_what_is_equal(quick):
    module, *_ = quick("gating_training")
    assert module.ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]
    assert module.correlation(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx(1.0)
    assert module.correlation(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1.0)
    assert module.correlation(np.arange(5.0), np.ones(5)) is None


def test_recall_is_that_of_numpy(quick):
    """The loss of one network, written out again."""
    module, *_ = quick("gating_training")
    import jax

    effort = module.QUICK
    one = {name: np.asarray(value[0], float) for name, value in module.start(effort).items()}
    key = jax.random.key(3)
    shown = np.asarray(jax.random.uniform(key, (5, module.NUMBERS), minval=-1.0, maxval=1.0))
    sigma = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    told = []
    for x in shown:
        h = np.zeros(effort.units)
        for k in range(effort.delay + 1):
            w = one["W_h"] @ x if k == 0 else 0.0
            z, r = sigma(one["U_z"] @ h), sigma(one["U_r"] @ h)
            h = z * h + (1 - z) * np.tanh(one["U_h"] @ (r * h) + w)
        told.append(one["C"] @ h + one["c"])
    expected = 3 * np.mean((np.array(told) - shown) ** 2)
    found = module.unexplained({k: v[0] for k, v in module.start(effort).items()}, key, effort.delay, 5)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_the_validation_of_exponents_finds_what_is_known(quick):
    _, found, folder = quick("lyapunov_validation")
    rows = {row["system"]: row for row in found["systems"]}
    exact = [row["sum_is_off_by"] for row in rows.values() if row["sum_is_off_by"] is not None]
    assert len(exact) >= 2
    assert np.abs(exact).max() < 1e-6
    for row in rows.values():
        # short runs: each exponent within a tenth of the largest in size
        np.testing.assert_allclose(row["exponents"], row["known"], atol=0.1 * np.abs(row["known"]).max())
    text = (folder / "lyapunov_validation.md").read_text()
    assert all(name in text for name in rows)
