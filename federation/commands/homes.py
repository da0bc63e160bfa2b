"""The option `--home`, as every command of a centre or of a node takes it."""

from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands.output import help_text

AtCentre = Annotated[
    Path,
    typer.Option(
        "--home",
        help=help_text("centre home", "中心的工作目錄"),
        default_factory=settings.centre_home,
    ),
]
AtNode = Annotated[
    Path,
    typer.Option(
        "--home", help=help_text("node home", "節點的工作目錄"), default_factory=settings.node_home
    ),
]
