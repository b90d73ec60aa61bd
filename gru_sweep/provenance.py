"""Where a result comes from: the machine that computed it and the source that it ran."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax


def device(found: Sequence[jax.Device] | None = None) -> str:
    """What is computed on, JAX's devices if None: accelerators, or the processor's model and cores."""
    import jax

    found = jax.devices() if found is None else found
    if found[0].platform == "cpu":
        return f"cpu ({_processor()[0]}, {os.cpu_count()} cores)"
    return f"{found[0].platform} ({len(found)} x {found[0].device_kind})"


def machine_kind() -> str:
    """A folder name shared by machines that can run each other's machine code.

    The processor's model is not enough: a hypervisor may hide some of its instructions.
    """
    model, instructions = _processor()
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{platform.machine()}-{model}").strip("-").lower()
    return f"{name}-{hashlib.sha256(instructions.encode()).hexdigest()[:8]}"


def commit() -> str:
    """The commit of the checkout this package runs from (`-dirty` if it was edited), or `unknown`.

    A repository that merely contains the environment the package is installed in does not count.
    """
    here = Path(__file__).resolve().parent
    try:
        if Path(_git(here, "rev-parse", "--show-toplevel")).resolve() != here.parent:
            return "unknown"
        _git(here, "ls-files", "--error-unmatch", "__init__.py")
        edited = _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".")
        return _git(here, "rev-parse", "HEAD") + ("-dirty" if edited else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return answer.stdout.strip()


def _processor() -> tuple[str, str]:
    """Model name and instruction flags; what `platform` knows where Linux does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    return (
        model[1] if model else platform.processor() or platform.machine(),
        flags[1] if flags else "",
    )
