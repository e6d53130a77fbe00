"""The commands for what is in service: `promote`, `rollback`, `models`."""

from typing import Annotated, Optional

import typer

from flows.options import HERE, Folder, Json


def add_commands(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command(
        epilog='Examples: eibert promote --dry-run · eibert promote --override "new labels agreed with the app"'
    )(promote)
    app.command(epilog="Examples: eibert rollback -C models/trec6 · eibert rollback 3")(rollback)
    app.command(epilog="Example: eibert models --json")(models)


def promote(
    workspace: Folder = HERE,
    override: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="REASON", help="Promote even if a gate fails; the reason is kept for ever."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge only; nothing changes.")] = False,
    as_json: Json = False,
) -> None:
    """Put the bundle in service if every gate passes. Compared with the version in service; exit code 1 if kept out."""
    from flows.models import print_judged, print_promotion
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    if dry_run:
        if override is not None:
            raise typer.BadParameter("with --dry-run nothing is promoted, so there is no reason to keep; leave one out")
        with stdout_reserved():
            from flows.promote import judge

            verdict = judge(find(workspace))
        print_judged(verdict, as_json=as_json)
        raise typer.Exit(0 if verdict.passed else 1)
    with stdout_reserved():
        from flows.promote import promote as put_in_service

        found = put_in_service(find(workspace), override=override)
    print_promotion(found, as_json=as_json)
    if found.kept_out:
        raise typer.Exit(1)


def rollback(
    version: Annotated[
        Optional[int],  # noqa: UP045
        typer.Argument(min=1, metavar="[VERSION]", help="Version number; default: the previous one."),
    ] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Put an earlier version back in service. Its files are first checked against the trail."""
    from flows.models import print_promotion
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        from flows.promote import rollback as put_back

        found = put_back(find(workspace), version)
    print_promotion(found, as_json=as_json)


def models(workspace: Folder = HERE, as_json: Json = False) -> None:
    """List all models of the repository. Shows version in service, age, metric, bytes, last run and drift."""
    from flows.models import models as listed
    from flows.models import print_models
    from flows.terminal import stdout_reserved

    with stdout_reserved():
        found = listed(workspace)
    print_models(found, as_json=as_json)
