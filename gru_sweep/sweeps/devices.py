"""What there is to compute on: JAX's devices, their memory, the cores of this process."""

from __future__ import annotations

import os
from pathlib import Path

import jax

from gru_sweep.records import InputError

PLATFORMS = ("cpu", "gpu")
SHARE = 0.5
"""Of a device's memory, the part that programs' arguments and results may take: compilers and allocators
need room of their own, and a CPU's memory has other users."""

HOW = 'for NVIDIA on Linux: pip install "gru-sweep[cuda]", and a driver that nvidia-smi sees'


def chosen(platform: str | None = None) -> list[jax.Device]:
    """All devices of this process of a platform, JAX's default one if None. Refuses one that is not there."""
    if platform is None:
        return jax.local_devices()
    if platform not in PLATFORMS:
        raise InputError("device", f"one of {', '.join(PLATFORMS)}", platform)
    try:
        return jax.local_devices(backend=platform)
    except RuntimeError:
        there = ", ".join(sorted({device.platform for device in jax.local_devices()}))
        raise InputError("device", f"a {platform} that JAX can use ({HOW})", f"only {there}") from None


def memory(device: jax.Device) -> int:
    """Bytes that may be used on a device: an accelerator's limit, or what is free of the machine's (or of
    the control group's) and, where the processor stands for several devices, its share."""
    about = device.memory_stats() if device.platform != "cpu" else None
    if about and "bytes_limit" in about:
        return int(about["bytes_limit"])
    return free_memory() // len(jax.local_devices(backend=device.platform))


def free_memory() -> int:
    """Bytes of the machine's memory that could be had now, no more than the control group allows."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    except OSError:
        pass
    for folder, limit, used, cache in _GROUPS:
        try:
            taken = int((folder / used).read_text())
            about = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            free = min(free, int((folder / limit).read_text()) - taken + int(about[cache]))
        except (OSError, ValueError, KeyError):  # no such group, or no limit in it
            continue
    return max(free, 0)


_GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Control groups of either version; cached files are counted as used there, and are given up when needed."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(device: jax.Device) -> int:
    """Batches worth running side by side on a device: one on an accelerator; a processor's share of cores."""
    if device.platform != "cpu":
        return 1
    return max(1, cores() // len(jax.local_devices(backend="cpu")))
