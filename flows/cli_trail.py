"""The commands for provenance: `trace`, `rebuild`, `verify`, `diff`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from flows.options import HERE, Folder, Json


def add_commands(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command(epilog="Examples: eibert trace model.onnx · eibert trace 3f9a12bc --json")(trace)
    app.command(epilog="Example: eibert rebuild data/export/bundle")(rebuild)
    app.command(epilog="Examples: eibert verify --all · eibert verify device/bundle -C models/mine")(verify)
    app.command(epilog="Examples: eibert diff HEAD~1 . · eibert diff old/bundle data/export/bundle")(diff)


def trace(
    target: Annotated[str, typer.Argument(metavar="BUNDLE|FILE|SHA256", help="Bundle, file or 8+ SHA-256 digits.")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Show where a shipped file comes from. From the trail alone: data, teacher, code, parameters, checks, people."""
    from flows.terminal import print_json, print_lines
    from flows.trace import lines
    from flows.trace import trace as follow

    found = follow(workspace, target)
    if as_json:
        print_json(found.to_json())
    else:
        print_lines(list(lines(found)))


def rebuild(
    target: Annotated[str, typer.Argument(metavar="BUNDLE|SHA256", help="Bundle or 8+ SHA-256 digits.")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Rebuild a recorded bundle and compare every digest. Uses its commit and sources; exit code 1 if any differs."""
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
            help="Workspace; default: current folder. With a bundle: the repository whose keys and trail to trust.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also check all other workspaces, DVC's cache, run cache and remote.")
    ] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Accept a bundle with neither signature nor record at hand.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that every file and record is what it claims to be. Prints one line per problem; exit code 1 if any."""
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
    after: Annotated[str, typer.Argument(metavar="B", help="The other side.")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Compare two commits, runs, bundles or workspaces. Covers data, parameters, code, libraries, metrics and bytes."""
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        from flows.diff import diff as compare

        found = compare(before, after, workspace)
    if as_json:
        print_json(found.as_object())
    else:
        print_lines(list(found.lines()))
