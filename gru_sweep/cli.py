"""The command line `gru-sweep`: the only place that prints, parses arguments or configures JAX globally.

Results go to standard output, everything else to standard error. Exit status: 0 done; 2 a bad argument,
found before any work (one line); 1 anything else that stopped the work; 130 or 143 after Ctrl-C or
SIGTERM, with the block in hand finished and the sweep resumable.

JAX is imported inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import shlex
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, ArgumentCollection, CoercionError, CycloptsError, MissingArgumentError, Parameter
from cyclopts.config import Dict as Layer

from . import __version__, provenance

if TYPE_CHECKING:
    from .sweeps.grid import Axis

_FLAGS = ("axis", "set", "measure", "resume", "precision", "chunk", "seed", "variable")


def _read_config(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill what the flags left open from the table [COMMAND] of the TOML file that `--config` names."""
    tokens = [
        token.value for argument in arguments if argument.name == "--config" for token in argument.tokens
    ]
    if not tokens:
        return
    import tomllib

    path, command = Path(tokens[-1]), " ".join(commands)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _Refused(f"--config: expected a readable TOML file, got {path} ({_words(error)})") from None
    except tomllib.TOMLDecodeError as error:
        raise _Refused(f"--config: expected a TOML file, got {path} ({error})") from None
    if not isinstance(tables.get(command), dict):
        found = ", ".join(tables) or "an empty file"
        raise _Refused(f"--config: expected a table [{command}] in {path}, got {found}")
    if "config" in tables[command]:
        raise _Refused(f"--config: expected no further config in {path}, got {tables[command]['config']!r}")
    Layer(data=tables, source=str(path))(app, commands, arguments)


app = App(
    name="gru-sweep",
    help="Map the dynamics of gated recurrent networks over their parameters, into one HDF5 file.",
    version=__version__,
    help_format="plaintext",
    config=_read_config,
    default_parameter=Parameter(negative=(), show_default=lambda value: value or None),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

Config = Annotated[
    Path | None, Parameter(help="TOML file; its table named like the command serves for the flags.")
]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], help="No progress on standard error.")]
Set = Annotated[list[str] | None, Parameter(name="--set", help="NAME=VALUE, a coordinate held fixed.")]
Weights = Annotated[
    Path | None, Parameter(help="A cell: .json, .npz, .h5 or .safetensors with U_h, U_z, U_r, b_z, b_r, b_h.")
]
Precision = Annotated[str, Parameter(help="float64 or float32.")]
Seed = Annotated[int, Parameter(help="Seed of random families.")]


@app.command(
    help_epilogue="Example: gru-sweep run hopf --axis alpha=0:3.14159265:256 --axis beta=1:3:256 "
    "--set s=0 --out hopf.h5 --plot hopf.png"
)
def run(
    family: Annotated[str | None, Parameter(help="Which networks: see --list.")] = None,
    *,
    axis: Annotated[
        list[str] | None,
        Parameter(help="NAME=START:STOP:NUM, ends included, or NAME=log:START:STOP:NUM; once for each axis."),
    ] = None,
    settings: Set = None,
    weights: Weights = None,
    out: Annotated[Path | None, Parameter(help="The HDF5 file to write.")] = None,
    measure: Annotated[str, Parameter(help="What is asked of every point.")] = "oscillation",
    resume: Annotated[
        bool, Parameter(help="Continue an interrupted run; start it where there is none.")
    ] = False,
    overwrite: Annotated[bool, Parameter(help="Replace an existing file.")] = False,
    precision: Precision = "float64",
    engine: Annotated[str, Parameter(help="Who computes: local, this process.")] = "local",
    workers: Annotated[int, Parameter(help="Number of processes; the local engine has 1.")] = 1,
    chunk: Annotated[int | None, Parameter(help="Points computed and committed together.")] = None,
    seed: Seed = 0,
    plot: Annotated[Path | None, Parameter(help="Also draw the finished map: .png, .pdf or .svg.")] = None,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    list_: Annotated[
        bool, Parameter(name="--list", help="Print families, coordinates, defaults, measures.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Sweep a family of networks over named axes and write one HDF5 file.

    An axis that is not given has the family's default. The family `weights`
    has none: its axes are entries of the cell in --weights, such as
    'U_h[0,1]=-3:3:64', or a bias as a whole, such as b_r=-2:2:64.
    """
    from . import reports, studies
    from .progress import reporter
    from .records import InputError, nearest

    if list_:
        print(reports.catalogue(studies.FAMILIES, studies.MEASURES))
        return
    if family is None:
        raise InputError("FAMILY", nearest("", studies.FAMILIES), "nothing")
    if out is None:
        raise InputError("--out", "a file to write, such as hopf.h5", "nothing")
    if engine != "local":
        raise InputError("--engine", nearest(engine, ["local"]), engine)
    if workers != 1:
        raise InputError("--workers", "1 with --engine local", workers)
    plan = studies.plan(
        family,
        axes=_axes(axis or []),
        settings=_settings(settings or []),
        measure=measure,
        precision=precision,
        chunk=chunk,
        seed=seed,
        weights=weights,
        out=out,
        resume=resume,
        overwrite=overwrite,
        command=shlex.join(["gru-sweep", *sys.argv[1:]]),
    )
    if plot is not None:
        from . import plotting

        plotting.check(plot, plan.grid.shape)
        if plot.absolute() == out.absolute():
            raise InputError("--plot", "another file than --out", str(plot))
    _prepare_compiling()
    with _Stop() as stop:
        outcome = studies.execute(plan, None if quiet else reporter(), stop)
    if plot is not None:
        plotting.save(out, plot)
    print(json.dumps(dataclasses.asdict(outcome)) if as_json else reports.outcome(plan, outcome))


@app.command(help_epilogue="Example: gru-sweep portrait --weights gru.json --json --out portrait.png")
def portrait(
    family: Annotated[str | None, Parameter(help="Which networks: see run --list.")] = None,
    *,
    settings: Set = None,
    weights: Weights = None,
    out: Annotated[Path | None, Parameter(help="Also draw it: .png, .pdf or .svg.")] = None,
    precision: Precision = "float64",
    seed: Seed = 0,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of tables.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Print the phase portrait of one network: its fixed points, and with two
    units its limit cycles and the label of its topology.

    The network is one of a family, at its defaults but for --set, or the one in --weights.
    What could not be decided is said in the status and the warnings; that is an answer, exit status 0.
    """
    import jax

    from . import reports, studies
    from .records import InputError, nearest

    if family is None and weights is None:
        raise InputError("FAMILY", f"--weights FILE or {nearest('', studies.FAMILIES)}", "nothing")
    if precision not in studies.PRECISIONS:
        raise InputError("precision", nearest(precision, studies.PRECISIONS), precision)
    if out is not None:
        from . import plotting

        plotting.check(out, argument="--out")
    with jax.enable_x64(precision == "float64"):
        cell = studies.cell(family or "weights", _settings(settings or []), weights=weights, seed=seed)
        if out is not None and cell.dimension != 2:
            raise InputError("--out", "a cell of 2 units to draw", f"one of {cell.dimension}")
        _prepare_compiling()
        from .analysis.portrait import phase_portrait

        found = phase_portrait(cell, precision=precision)
        about = found.to_dict()
        if out is not None:
            plotting.save_portrait(found, out)
    print(json.dumps(about, allow_nan=False) if as_json else reports.portrait(about))
    if out is not None and not quiet:
        print(f"wrote {out}", file=sys.stderr)


@app.command(help_epilogue="Example: gru-sweep info hopf.h5")
def info(
    file: Annotated[Path, Parameter(help="A file that `run` wrote or is writing.")],
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="Print one JSON object.")] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what is in a file, how far it is, and how it was made."""
    from . import reports
    from .sweeps import store

    about = store.describe(file)
    print(json.dumps(about, default=str) if as_json else reports.contents(about))


@app.command(help_epilogue="Example: gru-sweep plot hopf.h5 --variable frequency --out hopf.pdf")
def plot(
    file: Annotated[Path, Parameter(help="A file that `run` wrote or is writing.")],
    *,
    out: Annotated[Path, Parameter(help="The picture: .png, .pdf or .svg.")],
    variable: Annotated[str, Parameter(help="What the colours show.")] = "frequency",
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Draw one variable of a file over its axes."""
    from . import plotting

    plotting.check(out, argument="--out")
    plotting.save(file, out, variable)
    if not quiet:
        print(f"wrote {out}", file=sys.stderr)


@app.command(help_epilogue="Example: gru-sweep devices")
def devices(*, quiet: Quiet = False, config: Config = None) -> None:
    """Say what JAX computes on here, and how to get a GPU build."""
    import jax

    print(f"jax {jax.__version__}, backend {jax.default_backend()}, {provenance.device()}")
    for one in jax.devices():
        print(f"{one.id}: {one.platform} {one.device_kind}")
    if jax.default_backend() == "cpu" and not quiet:
        print('For an NVIDIA GPU (Linux), in the source folder: pip install ".[cuda]"', file=sys.stderr)


def main() -> int:
    """Run the command line on `sys.argv` and return the exit status."""
    before = signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        app(sys.argv[1:])
        sys.stdout.flush()
        return 0
    except (KeyboardInterrupt, _Terminated) as stopped:
        number = signal.SIGTERM if isinstance(stopped, _Terminated) else signal.SIGINT
        _say(str(stopped) or "stopped")
        return 128 + number
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CycloptsError, _Refused) as error:
        _say(_words(error))
        return 2
    except Exception as error:
        return _failed(error)
    finally:
        signal.signal(signal.SIGTERM, before)


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, in a folder private to this user and this kind of machine.

    `GRU_SWEEP_CACHE` names another place. A folder that others could write to is not used: what lies
    in it is executed.
    """
    import jax

    folder = _cache_folder() / provenance.machine_kind()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError:
        return
    if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o022):
        _say(f"not using the compilation cache {folder}: others could write to it")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _prepare_compiling() -> None:
    use_compilation_cache()
    # Tracing makes many objects that stay: by default the collector would visit them hundreds of times.
    gc.set_threshold(50_000, 20, 20)


class _Refused(Exception):
    """A bad argument found while the command line itself was read."""


class _Terminated(BaseException):
    """SIGTERM came while no block was in hand."""


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise _Terminated


class _Stop:
    """Turns the first Ctrl-C or SIGTERM into `requested`, so that the block in hand is finished.

    A second one stops at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}
        self.number = 0

    def __enter__(self) -> _Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt if number == signal.SIGINT else _Terminated
        self.requested, self.number = True, number
        os.write(2, b"\ngru-sweep: stopping after the block in hand; once more to stop at once\n")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error is None or not self.requested:
            return
        from .sweeps.sweep import Interrupted

        if isinstance(error, Interrupted):
            stopped: type[BaseException] = KeyboardInterrupt if self.number == signal.SIGINT else _Terminated
            raise stopped(_words(error)) from None


def _failed(error: Exception) -> int:
    from .records import InputError
    from .sweeps.sweep import SweepError

    if isinstance(error, InputError):
        text = _words(error)
        _say(f"--{text}" if error.argument in _FLAGS else text)
        return 2
    if not isinstance(error, SweepError | OSError | MemoryError):
        traceback.print_exception(error)
    _say(f"{type(error).__name__}: {_words(error)}")
    return 1


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"gru-sweep: {text}", file=sys.stderr, flush=True)


def _words(error: BaseException) -> str:
    """An error's message on one line, in the form `argument: expected, got` where it was a conversion."""
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        wanted: Any = error.target_type
        kind = {int: "an integer", float: "a number"}.get(wanted, getattr(wanted, "__name__", ""))
        return f"{error.argument.name}: expected {kind}, got {error.token.value!r}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name}: expected a value, got nothing"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, CycloptsError):
        error.verbose = False
    return " ".join(str(error).split())


def _axes(texts: list[str]) -> list[Axis]:
    from .sweeps.grid import Axis

    return [Axis.parse(text) for text in texts]


def _settings(texts: list[str]) -> dict[str, float]:
    from .records import InputError

    settings: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        try:
            if not (name and equals):
                raise ValueError
            number = float(value)
        except ValueError:
            raise InputError("--set", "NAME=VALUE with a number", text) from None
        if name in settings:
            raise InputError("--set", "each coordinate once", f"{name} twice")
        settings[name] = number
    return settings


def _cache_folder() -> Path:
    if named := os.environ.get("GRU_SWEEP_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gru_sweep"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gru_sweep"


if __name__ == "__main__":
    sys.exit(main())
