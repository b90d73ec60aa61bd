"""Training a small GRU as people write it in PyTorch: modules, a loop over the steps, autograd, Adam.

The same cell, loss and optimiser as `gru_sweep.training`, on the CPU, one network after another.
"""

from __future__ import annotations

import time

import numpy as np
import torch


class Forecaster(torch.nn.Module):
    """Discrete GRU with the reset gate before the matrix, and an affine readout (Eqs 2-4)."""

    def __init__(self, dim: int, p: int = 2):
        super().__init__()
        self.dim = dim
        self.update, self.reset, self.candidate = (torch.nn.Linear(dim, dim) for _ in range(3))
        self.update_in, self.candidate_in = (torch.nn.Linear(p, dim, bias=False) for _ in range(2))
        self.readout = torch.nn.Linear(dim, p)

    def forward(self, w0: torch.Tensor, steps: int) -> torch.Tensor:
        z = torch.sigmoid(self.update_in(w0) + self.update.bias)
        h = (1 - z) * torch.tanh(self.candidate_in(w0) + self.candidate.bias)
        found = []
        for _ in range(steps):
            z = torch.sigmoid(self.update(h))
            r = torch.sigmoid(self.reset(h))
            h = z * h + (1 - z) * torch.tanh(self.candidate(r * h))
            found.append(self.readout(h))
        return torch.stack(found, dim=1)

    def begin(self, network) -> None:
        """Take the parameters of one of this program's networks."""
        cell = network.cell
        wanted = {
            "update.weight": cell.U_z,
            "update.bias": cell.b_z,
            "reset.weight": cell.U_r,
            "reset.bias": cell.b_r,
            "candidate.weight": cell.U_h,
            "candidate.bias": cell.b_h,
            "update_in.weight": cell.W_z,
            "candidate_in.weight": cell.W_h,
            "readout.weight": network.C,
            "readout.bias": network.c,
        }
        self.load_state_dict({name: torch.tensor(np.array(part)) for name, part in wanted.items()})


def train(network, series: np.ndarray, rate: float, epochs: int, threads: int) -> tuple[np.ndarray, float]:
    """The losses before each update, float32, and the seconds that the epochs took."""
    torch.set_num_threads(threads)
    model = Forecaster(network.dimension, series.shape[2])
    model.begin(network)
    data = torch.tensor(series, dtype=torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    steps, losses = series.shape[1] - 1, []
    began = time.perf_counter()
    for _ in range(epochs):
        optimiser.zero_grad()
        loss = ((model(data[:, 0], steps) - data[:, 1:]) ** 2).sum() / steps
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return np.array(losses), time.perf_counter() - began
