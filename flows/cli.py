"""The command `eibert`: reads arguments, calls, prints, and sets the exit code. Slow imports wait for their command."""

import io
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Optional

from eibert import __version__

try:
    import typer
except ModuleNotFoundError:  # an installation of the run-time half only
    sys.exit("error: the command needs the pipeline's packages; install them with `pip install 'eibert[pipeline]'`")

from eibert.errors import INTERRUPTED
from flows.cli_retraining import add_commands
from flows.options import HERE, Folder, Json

EXIT_CODES = """
Exit codes: 0 all well · 1 an error to mend, told in one message · 2 wrong use of the command ·
70 a defect, with its traceback in the named log · 130 interrupted.
"""

app = typer.Typer(
    name="eibert",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compress a fine-tuned BERT-family teacher into an NLU bundle of at most 1.91 MB.",
    epilog=EXIT_CODES,
)

Assignments = Annotated[
    Optional[list[str]],  # noqa: UP045 — typer reads it
    typer.Option("--set", metavar="KEY=VALUE", help="Write section.key=value into params.yaml first; repeatable."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eibert {__version__}")
        raise typer.Exit


@app.callback()
def _eibert(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Name the version.")
    ] = False,
) -> None: ...


@app.command(epilog="Example: eibert run -C models/trec6 --set prune.keep=6000")
def run(
    workspace: Folder = HERE,
    only: Annotated[Optional[str], typer.Option(metavar="STAGE", help="Only that stage.")] = None,  # noqa: UP045
    start: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", metavar="STAGE", help="That stage and all that depends on it."),
    ] = None,
    until: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="STAGE", help="That stage and all it depends on."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run the chosen stages even where nothing changed.")] = False,
    assignments: Assignments = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Refuse where another run is at work here.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the stages up to date: run what changed, restore what was made before, leave the rest."""
    if sum(name is not None for name in (only, start, until)) > 1:
        raise typer.BadParameter("give one of --only, --from and --until")
    from flows.report import print_result
    from flows.run import Selection
    from flows.run import run as run_pipeline
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        found = find(workspace)
        result = run_pipeline(found, Selection(only, start, until, force), assignments or [], wait=not no_wait)
    print_result(found, result, as_json=as_json)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


@app.command(epilog="Example: eibert status -C models/trec6")
def status(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Say for each stage whether it would run, and why."""
    from flows.report import print_status
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        from flows.stage import read_graph
        from flows.status import causes

        place = find(workspace)
        place.params()
        found = causes(place, read_graph(place))
    print_status(found, as_json=as_json)


@app.command(epilog="Example: eibert stage prune -C models/trec6 (DVC runs it like this)")
def stage(
    name: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of dvc.yaml.")], workspace: Folder = HERE
) -> None:
    """Run one stage in this process, whether or not anything changed; `eibert run` decides that."""
    from flows.adapter import run_stage
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        code = run_stage(find(workspace).folder, name)
    raise typer.Exit(code)


@app.command(epilog="Example: eibert new models/trec6 --data ../datasets/trec6 --preset fast")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to make it, inside the repository.")],
    data: Annotated[str, typer.Option(metavar="PATH", help="File, folder, `sample`, or hf:owner/name@revision.")],
    unlabelled: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="PATH", help="Plain text in the same forms; repeatable."),
    ] = None,
    preset: Annotated[str, typer.Option(metavar="NAME", help="Parameters of presets/NAME.yaml.")] = "default",
    assignments: Assignments = None,
    as_json: Json = False,
) -> None:
    """Make a workspace for a data set of your own."""
    from flows.new import new as make
    from flows.terminal import print_facts, print_json

    made = make(folder, data, unlabelled or [], preset=preset, assignments=assignments or [])
    if as_json:
        print_json({"workspace": str(made.folder), "name": made.name})
    else:
        print_facts({"workspace": made.folder, "next": f"eibert run -C {folder}"})


@app.command(epilog='Examples: eibert predict "play some jazz" · eibert predict --json < texts.txt')
def predict(
    texts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[TEXT]...", help="Texts; none: lines of standard input."),
    ] = None,
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="A bundle elsewhere.")] = None,  # noqa: UP045
    top_k: Annotated[int, typer.Option(min=1, metavar="K", help="Classes to show for each text.")] = 1,
    as_json: Json = False,
) -> None:
    """Answer with a bundle; in a pair the two texts stand apart by a tab."""
    from flows.predict import lines, predictions
    from flows.terminal import print_json

    found = predictions(bundle or workspace / "data" / "export" / "bundle", texts or sys.stdin, top_k)
    if as_json:
        print_json({"predictions": found})
    else:
        for line in lines(found):
            typer.echo(line)


@app.command(epilog="Example: eibert demo -C models/trec6 --open")
def demo(
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="A bundle elsewhere.")] = None,  # noqa: UP045
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port on this machine; 0: any.")] = 8765,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Serve a page, to this machine only, on which a bundle answers what one types."""
    from flows.demo import open_server
    from flows.terminal import print_json

    with open_server(bundle or workspace / "data" / "export" / "bundle", port) as server:
        if as_json:
            print_json({"url": server.url})
        else:
            typer.echo(f"{server.url} (end with Ctrl-C)")
        sys.stdout.flush()
        if show:
            typer.launch(server.url)
        server.serve_forever()


@app.command(epilog="Example: eibert export -C models/trec6 --layout hub -o ../trec6-hub")
def export(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Where to write it; a new folder.")],
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="A bundle elsewhere.")] = None,  # noqa: UP045
    layout: Annotated[
        str,
        typer.Option(metavar="bundle|hub", help="The files that ship, or what transformers, optimum and hubs expect."),
    ] = "bundle",
    as_json: Json = False,
) -> None:
    """Write a built bundle elsewhere, checked; `--layout hub` adds configuration, tokenizer and model card."""
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


@app.command(epilog="Example: eibert report -C models/trec6 --open")
def report(
    workspace: Folder = HERE,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Name the report of the last evaluation."""
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


@app.command(epilog="Examples: eibert bench -C models/trec6 · eibert bench --bundle old/bundle --profile")
def bench(
    workspace: Folder = HERE,
    bundle: Annotated[Optional[Path], typer.Option(metavar="PATH", help="A bundle elsewhere, alone.")] = None,  # noqa: UP045
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Where figures and page go; else .eibert/bench of the workspace."),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Also time the bundle's operators.")] = False,
    as_json: Json = False,
) -> None:
    """Measure latency, start and memory on this machine, in turns with teacher, BERT-tiny and TF-IDF."""
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        from flows.bench import bench as measure
        from flows.bench import lines

        figures, target = measure(workspace, bundle, out, profiled=profile)
    if as_json:
        print_json(figures | {"folder": str(target)})
    else:
        print_lines(list(lines(figures, target)))


@app.command(epilog="Example: eibert doctor --json")
def doctor(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Check the environment; exit code 1 if anything would stop a run."""
    from flows.doctor import examine
    from flows.report import print_findings
    from flows.terminal import stdout_reserved

    with stdout_reserved():
        findings = examine(workspace)
    print_findings(findings, as_json=as_json)
    if any(finding.stops for finding in findings):
        raise typer.Exit(1)


@app.command(epilog="Examples: eibert trace model.onnx · eibert trace 3f9a12bc --json")
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


@app.command(epilog="Example: eibert rebuild data/export/bundle")
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


@app.command(epilog="Examples: eibert verify --all · eibert verify data/export/bundle")
def verify(
    path: Annotated[Optional[Path], typer.Argument(metavar="[BUNDLE|DIR]", help="A bundle or a workspace.")] = None,  # noqa: UP045
    workspace: Folder = HERE,
    everything: Annotated[
        bool, typer.Option("--all", help="Also all workspaces of the repository, DVC's cache, run cache and remote.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that everything is what it says it is; exit code 1, with one line each, where something is not."""
    from flows.terminal import print_json, print_lines, stdout_reserved

    with stdout_reserved():
        from flows.verify import verify as examine_all

        verdict = examine_all(path or workspace, everything=everything)
    if as_json:
        print_json(verdict.as_object())
    else:
        print_lines(list(verdict.lines()))
    if not verdict.sound:
        raise typer.Exit(1)


@app.command(epilog="Examples: eibert diff HEAD~1 . · eibert diff old/bundle data/export/bundle")
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


@app.command(
    epilog='Examples: eibert promote -C models/trec6 · eibert promote --override "new labels agreed with the app"'
)
def promote(
    workspace: Folder = HERE,
    override: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="REASON", help="Promote although a gate fails; the reason is kept for ever."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge the bundle against the version in service, and put it there; exit code 1 where a gate keeps it out."""
    from flows.models import print_promotion
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        from flows.promote import promote as put_in_service

        found = put_in_service(find(workspace), override=override)
    print_promotion(found, as_json=as_json)
    if found.kept_out:
        raise typer.Exit(1)


@app.command(epilog="Examples: eibert rollback -C models/trec6 · eibert rollback 3")
def rollback(
    version: Annotated[
        Optional[int],  # noqa: UP045
        typer.Argument(min=1, metavar="[VERSION]", help="The version; else the one before."),
    ] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Put an earlier version back in service, once its files are found to be what the trail says."""
    from flows.models import print_promotion
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        from flows.promote import rollback as put_back

        found = put_back(find(workspace), version)
    print_promotion(found, as_json=as_json)


@app.command(epilog="Example: eibert models --json")
def models(workspace: Folder = HERE, as_json: Json = False) -> None:
    """List every model of the repository: the version in service, its age, metric, bytes, last run and drift."""
    from flows.models import models as listed
    from flows.models import print_models
    from flows.terminal import stdout_reserved

    with stdout_reserved():
        found = listed(workspace)
    print_models(found, as_json=as_json)


add_commands(app)


def _be_lenient() -> None:
    """Lets bytes that are no UTF-8 be read, as U+FFFD, and what no terminal can show be written, as an escape."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the signal module's signature
    raise KeyboardInterrupt


def main() -> None:
    """Runs the command of this process's arguments and ends the process with its exit code."""
    _be_lenient()
    signal.signal(signal.SIGTERM, _interrupt)  # so that what Ctrl-C clears away is cleared away then, too
    try:
        app()
    except (KeyboardInterrupt, SystemExit) as ended:  # typer makes the one out of the other
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        sys.stderr.write("interrupted; nothing is half done, the same command goes on from here\n")
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 — the last place that can tell a defect in one line
        from flows.failure import tell

        sys.exit(tell(error, sys.argv[1:]))


if __name__ == "__main__":
    main()
