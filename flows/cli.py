"""The `eibert` command: parses arguments, calls, prints, sets the exit code. Slow imports wait for their command."""

import io
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Optional

from eibert import __version__

try:
    import typer
except ModuleNotFoundError:  # only the run-time half is installed
    sys.exit("error: the command needs the pipeline's packages; install them with `pip install 'eibert[pipeline]'`")

from eibert.errors import INTERRUPTED
from flows import cli_bundle, cli_retraining, cli_service, cli_trail
from flows.options import HERE, Folder, Json

EXIT_CODES = """
Exit codes: 0 success · 1 an error to fix, explained in one message · 2 wrong usage ·
70 a bug, with its traceback in the named log · 130 interrupted.
"""

_SECONDS_TO_LEAVE = 0.1

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
    typer.Option("--set", metavar="KEY=VALUE", help="Set section.key=value in params.yaml first; repeatable."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eibert {__version__}")
        raise typer.Exit


@app.callback()
def _eibert(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command(epilog="Example: eibert run -C models/trec6 --set prune.keep=6000")
def run(
    workspace: Folder = HERE,
    only: Annotated[Optional[str], typer.Option(metavar="STAGE", help="Run only this stage.")] = None,  # noqa: UP045
    start: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", metavar="STAGE", help="Run this stage and everything downstream."),
    ] = None,
    until: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="STAGE", help="Run this stage and everything upstream."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run the chosen stages even if nothing changed.")] = False,
    assignments: Assignments = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Fail instead of waiting for another run here.")] = False,
    as_json: Json = False,
) -> None:
    """Run changed stages, restore cached results, skip the rest."""
    if sum(name is not None for name in (only, start, until)) > 1:
        raise typer.BadParameter("give only one of --only, --from and --until")
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
    """Show which stages would run, and why."""
    from flows.report import print_status
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        from flows.graph import read_graph
        from flows.status import causes

        place = find(workspace)
        place.params()
        found = causes(place, read_graph(place))
    print_status(found, as_json=as_json)


@app.command(epilog="Example: eibert stage prune -C models/trec6 (DVC runs it like this)")
def stage(
    name: Annotated[str, typer.Argument(metavar="STAGE", help="A stage in dvc.yaml.")], workspace: Folder = HERE
) -> None:
    """Run one stage in this process, even if nothing changed.

    `eibert run` decides whether it has to. Exits with code 3 if the data gate refuses the rows.
    """
    from flows.adapter import run_stage
    from flows.terminal import stdout_reserved
    from flows.workspace import find

    with stdout_reserved():
        code = run_stage(find(workspace).folder, name)
    raise typer.Exit(code)


@app.command(epilog="Example: eibert new models/trec6 --data ../datasets/trec6 --preset fast")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to create it, inside the repository.")],
    data: Annotated[str, typer.Option(metavar="PATH", help="File, folder, `sample`, or hf:owner/name@revision.")],
    unlabelled: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="PATH", help="Plain text, given the same way; repeatable."),
    ] = None,
    preset: Annotated[str, typer.Option(metavar="NAME", help="Use the parameters in presets/NAME.yaml.")] = "default",
    assignments: Assignments = None,
    as_json: Json = False,
) -> None:
    """Create a workspace for your own data set."""
    from flows.new import new as make
    from flows.terminal import print_facts, print_json

    made = make(folder, data, unlabelled or [], preset=preset, assignments=assignments or [])
    if as_json:
        print_json({"workspace": str(made.folder), "name": made.name})
    else:
        print_facts({"workspace": made.folder, "next": f"eibert run -C {folder}"})


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


for part in (cli_bundle, cli_trail, cli_service, cli_retraining):
    part.add_commands(app)


def _be_lenient() -> None:
    """Reads bytes that are not UTF-8 as U+FFFD, and writes characters the terminal cannot show as escapes."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the signal module's signature
    raise KeyboardInterrupt


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Sends SIGTERM if Python ignored a KeyboardInterrupt, as it does in finalizers."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    again = threading.Timer(_SECONDS_TO_LEAVE, os.kill, (os.getpid(), signal.SIGTERM))
    again.daemon = True
    again.start()


def main() -> None:
    """Runs the command given in the arguments and exits with its exit code."""
    _be_lenient()
    signal.signal(signal.SIGTERM, _interrupt)  # so that SIGTERM cleans up as Ctrl-C does
    sys.unraisablehook = _interrupt_again
    try:
        app()
    except (KeyboardInterrupt, SystemExit) as ended:  # typer turns the former into the latter
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        sys.stderr.write("interrupted; nothing is left half done, repeat the command to resume\n")
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 — the last chance to report a bug in one line
        from flows.failure import tell

        sys.exit(tell(error, sys.argv[1:]))


if __name__ == "__main__":
    main()
