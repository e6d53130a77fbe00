"""DVC's repository in this process, and the graph of a workspace's stages.

DVC trusts modification times and its cache, so what it hands out is compared with its name (`flows/cache.py`).
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.index import Index

from eibert.errors import RunError
from flows.cache import guard
from flows.healing import heal, reading
from flows.whole import WholeFiles
from flows.workspace import GRAPH, Workspace

_LOGGERS = ("dvc", "dvc_data", "dvc_objects")


@dataclass(frozen=True)
class Graph:
    """Stages of one workspace.

    Attributes:
        stages: Names, each after all that it depends on, else as in dvc.yaml.
        upstream: Stage → the stages whose outputs it reads.
    """

    stages: tuple[str, ...]
    upstream: dict[str, frozenset[str]]

    def ancestors(self, stage: str) -> set[str]:
        """Returns all stages that a stage depends on, itself not among them."""
        direct = self.upstream[stage]
        return set(direct).union(*(self.ancestors(name) for name in direct))

    def descendants(self, stage: str) -> set[str]:
        """Returns all stages that depend on a stage, itself not among them."""
        return {name for name in self.stages if stage in self.ancestors(name)}

    def runs_alone(self, stage: str, among: Collection[str]) -> bool:
        """Returns whether no stage of `among` can run at the same time as this one."""
        related = self.ancestors(stage) | self.descendants(stage) | {stage}
        return set(among) <= related


@contextmanager
def opened(workspace: Workspace, *, thorough: bool = False, mending: bool = False) -> Iterator[Any]:
    """Yields DVC's repository, waiting for its lock where needed; one for each thread.

    Args:
        workspace: Where.
        thorough: Reads each object of the cache before DVC uses it, rather than only those that can be written to.
        mending: Puts right what a kill has torn, and sets altered objects aside; else nothing is changed.

    Raises:
        RunError: DVC refuses the repository.
    """
    logging.getLogger("dvc").setLevel(logging.WARNING)  # what it does is told as stages and reasons
    for name in _LOGGERS:
        logging.getLogger(name).propagate = False  # its own handlers write a line; Prefect's would add a traceback
    try:
        found = Repo(str(workspace.root), fs=WholeFiles(), _wait_for_lock=True)
    except DvcException as error:
        raise RunError(f"{workspace.root / '.dvc'}: DVC refuses it: {error}; mend .dvc/config") from error
    with found as repo:
        if mending:
            heal(repo, workspace.folder)
        guard(repo, thorough=thorough, mending=mending)
        yield repo


def read_graph(workspace: Workspace, *, mending: bool = False) -> Graph:
    """Returns the graph of a workspace's stages.

    Args:
        workspace: Where.
        mending: Puts a torn dvc.lock right first, rather than refuse it.

    Raises:
        RunError: DVC refuses dvc.yaml, or dvc.lock is torn.
    """
    path = workspace.folder / GRAPH
    try:
        with opened(workspace, mending=mending) as repo, reading(repo, workspace.folder):
            graph = Index.from_file(repo, str(path)).graph
            upstream = {node.name: frozenset(found.name for found in graph.successors(node)) for node in graph}
            listed = list(load_file(repo, str(path)).stages)
    except DvcException as error:
        raise RunError(f"{path}: DVC refuses it: {error}; mend it, `eibert new` shows a sound one") from error
    return Graph(_ordered(listed, upstream), upstream)


def collect(repo: Any, workspace: Workspace, stage: str) -> Any:
    """Returns DVC's stage of that name."""
    return repo.stage.load_one(str(workspace.folder / GRAPH), stage)


def collect_all(repo: Any, workspace: Workspace) -> dict[str, Any]:
    """Returns DVC's stages of a workspace by name, reading its files once."""
    return {stage.name: stage for stage in repo.stage.load_all(str(workspace.folder / GRAPH))}


def address(stage: str) -> str:
    """Returns the name by which DVC knows a stage in its workspace's folder; it takes a path no further than an @."""
    return f"{GRAPH}:{stage}"


def _ordered(listed: list[str], upstream: dict[str, frozenset[str]]) -> tuple[str, ...]:
    ordered: list[str] = []
    while waiting := [name for name in listed if name not in ordered]:
        ordered.append(next(name for name in waiting if upstream[name] <= set(ordered)))
    return tuple(ordered)
