"""From `sys.argv` to an exit status."""

from __future__ import annotations

import os
import signal
import sys

from cyclopts import CycloptsError

from .application import app
from .stopping import Terminated, on_sigterm
from .words import Refused, failed, say, words


def main() -> int:
    """Run the command line on `sys.argv` and return the exit status."""
    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        app(sys.argv[1:])
        sys.stdout.flush()
        return 0
    except (KeyboardInterrupt, Terminated) as stopped:
        number = signal.SIGTERM if isinstance(stopped, Terminated) else signal.SIGINT
        say(str(stopped) or "stopped")
        return 128 + number
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CycloptsError, Refused) as error:
        say(words(error))
        return 2
    except Exception as error:
        return failed(error)
    finally:
        signal.signal(signal.SIGTERM, before)
