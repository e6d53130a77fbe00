"""The commands about a bundle: `predict`, `demo`, `export`, `report`, `bench`."""

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from flows.options import HERE, Folder, Json


def add_commands(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command(epilog='Examples: eibert predict "play some jazz" · eibert predict --file new.csv > answers.jsonl')(
        predict
    )
    app.command(epilog="Example: eibert demo -C models/trec6 --open")(demo)
    app.command(epilog="Example: eibert export -C models/trec6 --layout hub -o ../trec6-hub")(export)
    app.command(epilog="Example: eibert report -C models/trec6 --open")(report)
    app.command(epilog="Examples: eibert bench -C models/trec6 · eibert bench --bundle old/bundle --profile")(bench)


def predict(
    texts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[TEXT]...", help="Texts; default: lines from standard input."),
    ] = None,
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="Use this bundle instead.")] = None,  # noqa: UP045
    file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="PATH", help="Predict the rows of a CSV, TSV, JSONL or Parquet file, plain or gzipped."),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, metavar="K", help="Classes to show per text.")] = 1,
    as_json: Json = False,
) -> None:
    """Predict with a bundle. Separate the two texts of a pair by a tab.

    With --file, prints one JSON object per row and line, and tells the score on stderr if the file has labels.
    """
    if file is not None:
        if texts:
            raise typer.BadParameter("give either texts or --file")
        _predict_file(bundle or workspace / "data" / "export" / "bundle", file, workspace, top_k, as_json=as_json)
        return
    from flows.predict import lines, predictions
    from flows.terminal import print_json

    found = predictions(bundle or workspace / "data" / "export" / "bundle", texts or sys.stdin, top_k)
    if as_json:
        print_json({"predictions": found})
    else:
        for line in lines(found):
            typer.echo(line)


def _predict_file(bundle: Path, file: Path, workspace: Path, top_k: int, *, as_json: bool) -> None:
    from flows.terminal import print_json, print_json_lines, stdout_reserved

    with stdout_reserved():
        from flows.predict_file import predict_file

        found = predict_file(bundle, file, workspace, top_k)
    if as_json:
        print_json({"predictions": found.rows, "metric": found.metric, "value": found.score})
    else:
        print_json_lines(found.rows)
    sys.stdout.flush()
    for line in found.told(file):
        typer.echo(line, err=True)


def demo(
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="Use this bundle instead.")] = None,  # noqa: UP045
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 for any free one.")] = 8765,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Serve a page to try out a bundle, on this machine only."""
    from flows.demo import open_server
    from flows.terminal import print_json

    with open_server(bundle or workspace / "data" / "export" / "bundle", port) as server:
        if as_json:
            print_json({"url": server.url})
        else:
            typer.echo(f"{server.url} (stop with Ctrl-C)")
        sys.stdout.flush()
        if show:
            typer.launch(server.url)
        server.serve_forever()


def export(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder to write to; new or empty.")],
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="Use this bundle instead.")] = None,  # noqa: UP045
    layout: Annotated[
        str,
        typer.Option(metavar="bundle|hub", help="The files that ship, or what transformers, optimum and hubs expect."),
    ] = "bundle",
    as_json: Json = False,
) -> None:
    """Check a bundle and write it to a new folder. `--layout hub` adds configuration, tokenizer and model card."""
    from flows.terminal import print_facts, print_json, stdout_reserved

    with stdout_reserved():
        from flows.export import Layout, write

        if layout not in set(Layout):
            raise typer.BadParameter(f"{layout!r}: expected one of {', '.join(Layout)}", param_hint="--layout")
        found = write(bundle or workspace / "data" / "export" / "bundle", Layout(layout), out, workspace)
    if as_json:
        print_json(found)
    else:
        print_facts(found)


def report(
    workspace: Folder = HERE,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Print the path of the last evaluation's report."""
    from flows.report import report_path
    from flows.terminal import print_json
    from flows.workspace import find

    path = report_path(find(workspace))
    if as_json:
        print_json({"report": str(path)})
    else:
        typer.echo(path)
    if show:
        typer.launch(str(path))


def bench(
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="Measure only this bundle.")] = None,  # noqa: UP045
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Folder for figures and page; default: the workspace's .eibert/bench."),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Also profile the bundle's operators.")] = False,
    as_json: Json = False,
) -> None:
    """Measure latency, start-up and memory on this machine. Runs alternate with teacher, BERT-tiny and TF-IDF."""
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        from flows.bench import bench as measure
        from flows.bench import lines

        figures, target = measure(workspace, bundle, out, profiled=profile)
    if as_json:
        print_json(figures | {"folder": str(target)})
    else:
        print_lines(list(lines(figures, target)))
