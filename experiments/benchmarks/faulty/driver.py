"""The program that is harmed: the synthetic sweep into FOLDER/map.h5, or on from what is there.

    python -m faulty.driver FOLDER [--out FILE] [--workers N|ADDRESS] [--hungry BYTES] [--limit BYTES]

With workers the engine is Dask's. It ends as the command line does: 0, or one line and 1 or 2.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
from pathlib import Path

from faulty import waves
from gru_sweep.sweeps.engines.engine import Engine
from gru_sweep.sweeps.engines.local import Local


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers")
    parser.add_argument("--hungry", type=int, default=0)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    if asked.limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked.limit, asked.limit))
    made_by = waves.Waves(asked.folder.absolute(), asked.hungry)
    try:
        with contextlib.ExitStack() as stack:
            engine: Engine = Local([made_by()])
            if asked.workers is not None:
                from gru_sweep.sweeps.engines.dask import Dask

                number = int(asked.workers) if asked.workers.isdecimal() else asked.workers
                engine = stack.enter_context(Dask(made_by, number))
            waves.run(engine, made_by, asked.out or made_by.folder / waves.MAP)
    except Exception as error:
        from gru_sweep.cli.words import failed

        return failed(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
