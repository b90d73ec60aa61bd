"""Compiled programs, kept between runs."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from . import provenance


def use_compilation_cache() -> str | None:
    """Keep compiled programs between runs, in a folder private to this user and this kind of machine.

    `GRU_SWEEP_CACHE` names another place. A folder that others could write to is not used, since what lies
    in it is executed: then a sentence that says so is returned.
    """
    import jax

    folder = _cache_folder() / provenance.machine_kind()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError:
        return None
    if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o022):
        return f"not using the compilation cache {folder}: others could write to it"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return None


def prepare_process(platform: str | None = None) -> str | None:
    """Configure a process that is ours alone, a command or a worker, before JAX looks for devices.

    `platform` is the only one it shall look for. Returns what there is to say.
    """
    import jax

    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    # Tracing makes many objects that stay: by default the collector would visit them hundreds of times.
    gc.set_threshold(50_000, 20, 20)
    return use_compilation_cache()


def _cache_folder() -> Path:
    if named := os.environ.get("GRU_SWEEP_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gru_sweep"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gru_sweep"
