"""DVC's repository in this process, and a workspace's stage graph.

DVC trusts modification times and its cache, so cached content is checked against its name (`flows/cache.py`).
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
    """The stage graph of one workspace.

    Attributes:
        stages: Names in topological order, otherwise as in dvc.yaml.
        upstream: Stage → the stages whose outputs it reads.
    """

    stages: tuple[str, ...]
    upstream: dict[str, frozenset[str]]

    def ancestors(self, stage: str) -> set[str]:
        """Returns all stages that a stage depends on, without itself."""
        direct = self.upstream[stage]
        return set(direct).union(*(self.ancestors(name) for name in direct))

    def descendants(self, stage: str) -> set[str]:
        """Returns all stages that depend on a stage, without itself."""
        return {name for name in self.stages if stage in self.ancestors(name)}

    def runs_alone(self, stage: str, among: Collection[str]) -> bool:
        """Returns whether no stage of `among` can run at the same time as this one."""
        related = self.ancestors(stage) | self.descendants(stage) | {stage}
        return set(among) <= related


@contextmanager
def opened(workspace: Workspace, *, thorough: bool = False, mending: bool = False) -> Iterator[Any]:
    """Yields DVC's repository, which waits for its lock; each thread needs its own.

    Args:
        workspace: Where.
        thorough: Read every cache object before DVC uses it, not only the writable ones.
        mending: Repair files torn by a kill, and quarantine altered objects; otherwise change nothing.

    Raises:
        RunError: DVC cannot open the repository.
    """
    logging.getLogger("dvc").setLevel(logging.WARNING)  # its work is reported as stages and reasons
    for name in _LOGGERS:
        logging.getLogger(name).propagate = False  # its own handlers write one line; Prefect's would add a traceback
    try:
        found = Repo(str(workspace.root), fs=WholeFiles(), _wait_for_lock=True)
    except DvcException as error:
        raise RunError(f"{workspace.root / '.dvc'}: rejected by DVC: {error}; fix .dvc/config") from error
    with found as repo:
        if mending:
            heal(repo, workspace.folder)
        guard(repo, thorough=thorough, mending=mending)
        yield repo


def read_graph(workspace: Workspace, *, mending: bool = False) -> Graph:
    """Returns a workspace's stage graph.

    Args:
        workspace: Where.
        mending: Repair a torn dvc.lock first instead of refusing it.

    Raises:
        RunError: DVC rejects dvc.yaml, or dvc.lock is torn.
    """
    path = workspace.folder / GRAPH
    try:
        with opened(workspace, mending=mending) as repo, reading(repo, workspace.folder):
            graph = Index.from_file(repo, str(path)).graph
            upstream = {node.name: frozenset(found.name for found in graph.successors(node)) for node in graph}
            listed = list(load_file(repo, str(path)).stages)
    except DvcException as error:
        raise RunError(f"{path}: rejected by DVC: {error}; fix it, `eibert new` creates a valid one") from error
    return Graph(_ordered(listed, upstream), upstream)


def collect(repo: Any, workspace: Workspace, stage: str) -> Any:
    """Returns DVC's stage of that name."""
    return repo.stage.load_one(str(workspace.folder / GRAPH), stage)


def collect_all(repo: Any, workspace: Workspace) -> dict[str, Any]:
    """Returns DVC's stages of a workspace by name; reads its files only once."""
    return {stage.name: stage for stage in repo.stage.load_all(str(workspace.folder / GRAPH))}


def address(stage: str) -> str:
    """Returns the address of a stage, relative to its workspace's folder, as DVC cuts paths at an @."""
    return f"{GRAPH}:{stage}"


def _ordered(listed: list[str], upstream: dict[str, frozenset[str]]) -> tuple[str, ...]:
    ordered: list[str] = []
    while waiting := [name for name in listed if name not in ordered]:
        ordered.append(next(name for name in waiting if upstream[name] <= set(ordered)))
    return tuple(ordered)
