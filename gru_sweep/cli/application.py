"""The application: its flags that several commands share, and its configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token
from cyclopts.config import Dict as Layer

from .. import __version__
from .words import Refused, words


def _read_config(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill what the flags left open from the table [COMMAND] of the TOML file that `--config` names."""
    tokens = [
        token.value for argument in arguments if argument.name == "--config" for token in argument.tokens
    ]
    if not tokens:
        return
    import tomllib

    path, command = Path(tokens[-1]), ".".join(commands)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"--config: expected a readable TOML file, got {path} ({words(error)})") from None
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"--config: expected a TOML file, got {path} ({error})") from None
    table: Any = tables
    for name in commands:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        found = ", ".join(tables) or "an empty file"
        raise Refused(f"--config: expected a table [{command}] in {path}, got {found}")
    if "config" in table:
        raise Refused(f"--config: expected no further config in {path}, got {table['config']!r}")
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


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """An integer, and nothing that would have to be rounded."""
    return int(tokens[0].value)


Config = Annotated[
    Path | None, Parameter(help="TOML file; its table named like the command serves for the flags.")
]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], help="No progress on standard error.")]
Set = Annotated[list[str] | None, Parameter(name="--set", help="NAME=VALUE, a coordinate held fixed.")]
Weights = Annotated[
    Path | None, Parameter(help="A cell: .json, .npz, .h5 or .safetensors with U_h, U_z, U_r, b_z, b_r, b_h.")
]
Member = Annotated[
    str | None, Parameter(help="Which cell, in a file of several: dim=2,seed=0 of those that `train` wrote.")
]
Precision = Annotated[str, Parameter(help="float64 or float32.")]
Seed = Annotated[int, Parameter(converter=whole, help="Seed of random families.")]
