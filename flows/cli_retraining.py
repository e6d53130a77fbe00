"""The commands about retraining: `retrain`, `schedule`, `history`, `collect`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from flows.options import HERE, Folder, Json

if TYPE_CHECKING:
    from flows.history import Retraining

Folders = Annotated[
    Optional[list[Path]],  # noqa: UP045 — typer reads it
    typer.Option("-C", "--workspace", metavar="DIR", help="Workspace, repeatable; default: current folder."),
]
All = Annotated[bool, typer.Option("--all", help="All workspaces in the repository.")]
Retrained = Annotated[
    bool, typer.Option("--all", help="All workspaces in the repository but those on the built-in sample.")
]
Parallel = Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Maximum number of workspaces at a time.")]


def add_commands(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command(epilog="Examples: eibert retrain -C models/trec6 · eibert retrain --all --parallel 2")(retrain)
    app.command(epilog='Example: eibert schedule --cron "0 3 * * *" -C models/trec6')(schedule)
    app.command(epilog="Example: eibert history -C models/trec6 --open")(history)
    app.command(epilog="Example: eibert collect -C models/trec6")(collect)


def retrain(
    workspace: Folders = None,
    everything: Retrained = False,
    parallel: Parallel = 1,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Fail instead of waiting for another retraining.")] = False,
    as_json: Json = False,
) -> None:
    """Take in new data, retrain if needed, promote if all gates pass."""
    from flows import environment
    from flows.terminal import print_json, print_table, stdout_reserved

    with stdout_reserved():
        folders = _chosen(workspace, everything=everything, sample=False)
        environment.prepare(_root(folders))
        found = _one(folders[0], wait=not no_wait) if len(folders) == 1 else _many(folders, parallel, wait=not no_wait)
        pages = [_page(folder) for folder in folders]
    if as_json and len(folders) == 1:
        print_json(found[0].as_object() | {"page": pages[0]})
    elif as_json:
        print_json({"retrainings": [one.as_object() | {"page": page} for one, page in zip(found, pages, strict=True)]})
    else:
        rows = [
            [one.workspace, one.outcome.value, "drifted" if one.drifted else "", _version(one), one.reason]
            for one in found
        ]
        print_table(["model", "outcome", "", "in service", "why"], rows)
        for note in [f"{one.workspace}: {note}" for one in found for note in one.notes]:
            typer.echo(f"note: {note}", err=True)
    if any(one.outcome.value == "failed" for one in found):
        raise typer.Exit(1)


def schedule(
    cron: Annotated[str, typer.Option(metavar="CRON", help='Five cron fields, such as "0 3 * * *".')],
    workspace: Folders = None,
    everything: Retrained = False,
    parallel: Parallel = 1,
    timezone: Annotated[str, typer.Option(metavar="NAME", help="Time zone of --cron.")] = "UTC",
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="N", help="Port of Prefect's server unless PREFECT_API_URL is set.")
    ] = 4200,
) -> None:
    """Retrain on a schedule until stopped. Missed runs are caught up once."""
    from flows import environment
    from flows.terminal import stdout_reserved

    with stdout_reserved():
        folders = _chosen(workspace, everything=everything, sample=False)
        environment.prepare(_root(folders))
        from flows.schedule import check_cron, serve

        serve(folders, check_cron(cron, timezone), parallel=parallel, port=port)


def history(
    workspace: Folder = HERE,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write a page of a model's versions, drift and retrainings. Prints its path."""
    from flows import environment
    from flows.terminal import print_json, stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        from flows.history_page import write

        place = find(workspace)
        environment.prepare(place.root)
        path = write(place)
    if as_json:
        print_json({"page": str(path)})
    else:
        typer.echo(path)
    if show:
        typer.launch(str(path))


def collect(workspace: Folders = None, everything: All = False, as_json: Json = False) -> None:
    """Remove old versions, MLflow runs and DVC cache objects. Keeps what is in service or still referenced."""
    from eibert.errors import EibertError
    from eibert.redact import shown
    from flows import environment
    from flows.terminal import print_json, print_lines, stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        folders = _chosen(workspace, everything=everything)
        environment.prepare(_root(folders))
        from flows.retention import NOT_COLLECTED
        from flows.retention import collect as remove

        found: dict[str, list[str]] = {}
        for folder in folders:
            try:
                found[str(folder)] = remove(find(folder))
            except EibertError as error:
                found[str(folder)] = [f"{NOT_COLLECTED}: {shown(str(error))}"]
    if as_json:
        print_json({"collected": found})
    else:
        print_lines(
            [f"{folder}: {line}" for folder, lines in found.items() for line in lines or ["nothing to collect"]]
        )
    if any(line.startswith(NOT_COLLECTED) for lines in found.values() for line in lines):
        raise typer.Exit(1)


def _one(folder: Path, *, wait: bool) -> "list[Retraining]":
    from flows.retrain_flow import run_one

    return [run_one(folder, wait=wait)]


def _many(folders: Sequence[Path], parallel: int, *, wait: bool) -> "list[Retraining]":
    from flows.retrain_flow import run_many
    from flows.server import free_port, server

    with server(free_port()):  # one for all processes: servers of their own would fight over one database
        return run_many(folders, parallel=parallel, wait=wait)


def _page(folder: Path) -> str | None:
    """Path of the history page; None if the registry does not answer."""
    from eibert.errors import EibertError
    from flows.history_page import write
    from flows.workspace import find

    try:
        return str(write(find(folder)))
    except (EibertError, OSError):
        return None


def _chosen(workspace: Sequence[Path] | None, *, everything: bool, sample: bool = True) -> list[Path]:
    """Returns the folders named, or all of the repository; without `sample`, only those with data of their own."""
    from eibert.errors import RunError
    from flows.verify import workspaces
    from flows.workspace import find, repository

    if everything:
        root = repository((workspace or [HERE])[0])
        if found := [place.folder for place in workspaces(root) if sample or not _on_the_sample(place.folder)]:
            return found
        kind = "no workspace in it" if sample else "no workspace with data of its own in it"
        raise RunError(f"{root}: {kind}; create one with `eibert new`")
    return list(dict.fromkeys(find(folder).folder for folder in workspace or [HERE]))


def _on_the_sample(folder: Path) -> bool:
    from eibert.errors import EibertError
    from eibert.ingest.sources import SAMPLE
    from eibert.params.load import load
    from flows.workspace import PARAMS

    try:
        return load(folder / PARAMS).ingest.source == SAMPLE
    except EibertError:
        return False  # its retraining will fail, and say why


def _root(folders: Sequence[Path]) -> Path:
    from flows.workspace import repository

    return repository(folders[0])


def _version(found: Any) -> str:
    return "–" if found.version is None else str(found.version)
