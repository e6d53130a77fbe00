"""When a workspace was last run or retrained, and how that ended.

Three places know: the history of retrainings; MLflow, of every run that reached a stage; and the workspace's lock, in
which a run that was interrupted or killed leaves its signature until the next command works there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flows.alone import at_work
from flows.history import Retraining
from flows.workspace import PRIVATE, Workspace

RUNNING, INTERRUPTED = "running", "interrupted"
_LOCK = "lock"
_COMMANDS = ("eibert run", "eibert retrain")
"""Promotions, rollbacks and clean-ups take the lock, too."""


@dataclass(frozen=True)
class LastRun:
    """The last run or retraining of a workspace.

    Attributes:
        when: When it began, UTC.
        outcome: A retraining's (`flows.history.Outcome`), or a run's: `finished`, `failed`, `interrupted` or `running`;
            None if MLflow does not tell.
    """

    when: datetime
    outcome: str | None


def last_run(workspace: Workspace, retrainings: Sequence[Retraining]) -> LastRun | None:
    """Returns the last run or retraining; a run that was part of a retraining counts as that. None: there was none.

    Args:
        workspace: Where.
        retrainings: Its retrainings, oldest first.

    Raises:
        RegistryError: MLflow does not answer.
    """
    from tasks import registry

    tracked = registry.last_run(workspace.root, workspace.name)
    runs = [LastRun(*tracked)] if tracked else []
    if signed := _signed(workspace):
        runs.append(signed)
    run = max(runs, key=lambda one: one.when, default=None)
    if not retrainings:
        return run
    last = retrainings[-1]
    began = datetime.fromisoformat(last.when)
    ended = began + timedelta(seconds=last.seconds + 1)  # it began up to a second later than recorded
    return run if run and run.when > ended else LastRun(began, last.outcome.value)


def _signed(workspace: Workspace) -> LastRun | None:
    """The run whose signature is in the lock: one that runs now, or never came to its end."""
    try:
        signature = json.loads((workspace.folder / PRIVATE / _LOCK).read_text(encoding="utf-8"))
        command, since = str(signature["command"]), datetime.fromisoformat(signature["since"])  # in local time
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nobody has run here, or the last one came to its end
    if not command.startswith(_COMMANDS):
        return None
    return LastRun(since.astimezone(UTC), RUNNING if at_work(workspace, retrainings=False) else INTERRUPTED)
