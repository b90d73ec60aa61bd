"""How many programs were compiled, and how long it took, as JAX itself reports it."""

from __future__ import annotations

import threading

_EVENT = "/jax/core/compile/backend_compile_duration"
_lock = threading.Lock()
_count, _seconds = 0, 0.0
_listening = False


def count() -> int:
    """Programs compiled (or fetched from the persistent cache) in this process since `listen`."""
    return _count


def seconds() -> float:
    """Spent in compiling them, in all threads together."""
    return _seconds


def listen() -> None:
    """Start counting; once a process is enough."""
    global _listening
    with _lock:
        if _listening:
            return
        _listening = True
    import jax

    jax.monitoring.register_event_duration_secs_listener(_heard)


def _heard(event: str, duration_secs: float, **_: str | int) -> None:
    global _count, _seconds
    if event == _EVENT:
        with _lock:
            _count += 1
            _seconds += duration_secs
