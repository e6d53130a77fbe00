"""The commands about where things come from: `trace`, `rebuild`, `verify`, `diff`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from flows.options import HERE, Folder, Json


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command(epilog="Examples: eibert trace model.onnx · eibert trace 3f9a12bc --json")(trace)
    app.command(epilog="Example: eibert rebuild data/export/bundle")(rebuild)
    app.command(epilog="Examples: eibert verify --all · eibert verify device/bundle -C models/mine")(verify)
    app.command(epilog="Examples: eibert diff HEAD~1 . · eibert diff old/bundle data/export/bundle")(diff)


def trace(
    target: Annotated[str, typer.Argument(metavar="BUNDLE|FILE|SHA256", help="A bundle, a file, or 8 or more digits.")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Say where a shipped file comes from: data, teacher, code, parameters, checks, people; needs the trail only."""
    from flows.terminal import print_json, print_lines
    from flows.trace import lines
    from flows.trace import trace as follow

    found = follow(workspace, target)
    if as_json:
        print_json(found.to_json())
    else:
        print_lines(list(lines(found)))


def rebuild(
    target: Annotated[str, typer.Argument(metavar="BUNDLE|SHA256", help="A bundle, or 8 or more digits.")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Build a recorded bundle again from its commit and sources, and compare all digests; exit code 1 if it differs."""
    from flows.rebuild import lines
    from flows.rebuild import rebuild as build_again
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        rebuilt = build_again(workspace, target)
    if as_json:
        print_json(rebuilt.to_json())
    else:
        print_lines(list(lines(rebuilt)))
    if not rebuilt.same:
        raise typer.Exit(1)


def verify(
    path: Annotated[Optional[Path], typer.Argument(metavar="[BUNDLE|DIR]", help="A bundle or a workspace.")] = None,  # noqa: UP045
    workspace: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "-C",
            "--workspace",
            metavar="DIR",
            help="Workspace, else the current folder; with a bundle: the repository whose keys and trail are trusted.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also all workspaces of the repository, DVC's cache, run cache and remote.")
    ] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Accept a bundle for which no signature and no record is at hand.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that everything is what it says it is; exit code 1, with one line each, where something is not."""
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        from flows.verify import verify as examine_all

        verdict = examine_all(
            path or workspace or HERE, everything=everything, trusted=workspace if path else None, unsigned=unsigned
        )
    if as_json:
        print_json(verdict.as_object())
    else:
        print_lines(list(verdict.lines()))
    if not verdict.sound:
        raise typer.Exit(1)


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A commit, an MLflow run, a bundle or a workspace.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Compare data, parameters, code, libraries, metrics and bytes, side by side."""
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        from flows.diff import diff as compare

        found = compare(before, after, workspace)
    if as_json:
        print_json(found.as_object())
    else:
        print_lines(list(found.lines()))
