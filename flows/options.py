"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("-C", "--workspace", metavar="DIR", help="Workspace folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object; all else goes to stderr.")]
HERE = Path()
