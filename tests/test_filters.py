"""The bytes that are handed to HDF5 ready-made are those that HDF5 reads, and checks, as its own."""

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gru_sweep.sweeps import filters
from gru_sweep.sweeps.filters import FILTERS, encode, fletcher32


def stored(data, **how):
    """What HDF5 itself stores for data as a single chunk."""
    with h5py.File("stored", "w", driver="core", backing_store=False) as file:
        made = file.create_dataset("x", data=data, chunks=data.shape, **how)
        file.flush()
        mask, raw = made.id.read_direct_chunk((0,) * data.ndim)
        assert mask == 0
        return raw


@given(st.binary(min_size=1, max_size=2000))
def test_the_checksum_is_the_one_that_hdf5_computes(data):
    raw = stored(np.frombuffer(data, np.uint8), fletcher32=True)
    assert raw == data + fletcher32(data).to_bytes(4, "little")


@pytest.mark.parametrize("n", [2 * filters._SPAN - 2, 2 * filters._SPAN, 2 * filters._SPAN + 1, 3_000_001])
@pytest.mark.parametrize("content", ["random", "ones", "zeros", "one word"])
def test_the_checksum_of_long_data(n, content):
    data = np.zeros(n, np.uint8)
    if content == "random":
        data = np.random.default_rng(n).integers(0, 256, n).astype(np.uint8)
    elif content == "ones":
        data[:] = 255
    elif content == "one word":
        data[0] = 1
    assert stored(data, fletcher32=True)[-4:] == fletcher32(data.tobytes()).to_bytes(4, "little")


def test_only_deflate_differs_from_what_hdf5_would_store():
    data = np.random.default_rng(0).normal(size=(30, 40)).round(2)
    ours, theirs = encode(data), stored(data, **FILTERS)
    assert zlib.decompress(ours[:-4]) == zlib.decompress(theirs[:-4])
    assert len(ours) <= 1.1 * len(theirs)


@given(
    arrays.arrays(
        st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.float32, np.float64]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=9),
    )
)
def test_hdf5_reads_back_every_bit(data):
    with h5py.File("read", "w", driver="core", backing_store=False) as file:
        made = file.create_dataset("x", data.shape, data.dtype, chunks=data.shape, **FILTERS)
        made.id.write_direct_chunk((0,) * data.ndim, encode(data))
        assert made[...].tobytes() == data.tobytes()


def test_hdf5_refuses_a_chunk_with_a_changed_byte():
    data = np.arange(1000.0)
    good = encode(data)
    for place in (0, len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[place] ^= 1
        with h5py.File("bad", "w", driver="core", backing_store=False) as file:
            made = file.create_dataset("x", data.shape, data.dtype, chunks=data.shape, **FILTERS)
            made.id.write_direct_chunk((0,), bytes(bad))
            with pytest.raises(OSError, match="filter"):
                made[...]
