"""A stand-in for the reading of trained networks, whose programs take a minute to compile."""

import numpy as np

from gru_sweep.learning.table import flags
from gru_sweep.records import Status


def read(school, data, networks, snapshots, diverged, note=print):
    """The status alone."""
    note("reading")
    status = np.where(np.asarray(diverged) >= 0, Status.FAILED, Status.OK).astype(np.int8)
    return {"status": (school.dims, status.reshape(school.shape), {"long_name": "status", **flags(Status)})}
