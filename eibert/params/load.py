"""params.yaml → one frozen model; all problems are reported at once, each under its dotted key."""

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from eibert.errors import ParamsError
from eibert.params.bench import BenchParams
from eibert.params.distill import DistillParams
from eibert.params.drift import DriftParams
from eibert.params.evaluate import EvaluateParams
from eibert.params.export import ExportParams
from eibert.params.finetune import FinetuneParams
from eibert.params.ingest import IngestParams
from eibert.params.judge import JudgeParams
from eibert.params.notify import NotifyParams
from eibert.params.pretrain import PretrainParams
from eibert.params.prune import PruneParams
from eibert.params.quantize import QuantizeParams
from eibert.params.retention import RetentionParams
from eibert.params.retrain import RetrainParams
from eibert.params.section import Section, Shared
from eibert.params.validate import ValidateParams


class Params(Shared):
    """All of params.yaml, sections in pipeline order; those after `evaluate` belong to no stage."""

    ingest: IngestParams
    validate_: ValidateParams = Field(alias="validate")
    finetune: FinetuneParams
    pretrain: PretrainParams
    prune: PruneParams
    distill: DistillParams
    quantize: QuantizeParams
    export: ExportParams
    evaluate: EvaluateParams
    judge: JudgeParams
    bench: BenchParams
    retrain: RetrainParams
    drift: DriftParams
    notify: NotifyParams
    retention: RetentionParams

    @model_validator(mode="after")
    def _texts_fit_the_student(self) -> Self:
        positions = self.pretrain.student.positions
        for stage in ("pretrain", "distill"):
            found = getattr(self, stage).max_tokens
            if found > positions:
                raise ValueError(f"{stage}.max_tokens ({found}) exceeds pretrain.student.positions ({positions})")
        return self

    @property
    def shared(self) -> Shared:
        """The values outside all sections."""
        return Shared(seed=self.seed, teacher=self.teacher)

    def section(self, stage: str) -> Section:
        """Returns the section of one stage."""
        section = getattr(self, "validate_" if stage == "validate" else stage)
        assert isinstance(section, Section)
        return section


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, of which PyYAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                line = key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(problem=f"a list or mapping as a key on line {line}")
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(problem=f"duplicate key `{key}`, again on line {line}")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Params:
    """Returns the parameters in a params.yaml.

    Raises:
        ParamsError: the file is missing or not YAML, or keys are unknown, missing, of the wrong type or out of
            bounds; the message lists them all.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 — a SafeLoader
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: missing; make a workspace with `eibert new`, or choose one with -C") from error
    except (yaml.YAMLError, ValueError) as error:  # undecodable bytes, or an impossible date
        raise ParamsError(f"{path}: not readable as YAML: {_one_line(error)}; fix that line") from error
    return parse(raw, str(path))


def parse(raw: object, place: str) -> Params:
    """Returns the parameters in an already decoded mapping; messages call it `place`.

    Raises:
        ParamsError: as in `load`.
    """
    if not isinstance(raw, dict):
        raise ParamsError(f"{place}: found {type(raw).__name__}, expected a mapping of sections; see params.yaml")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(problem) for problem in error.errors(include_url=False)]
        raise ParamsError(f"{place}: {len(lines)} problem(s)\n  " + "\n  ".join(lines)) from error


def _describe(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "params"
    match problem["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; remove it or correct its spelling"
        case "missing":
            return f"{key}: missing; add it (docs/params.md describes it)"
        case _:
            found = repr(problem["input"])
            return f"{key}: {problem['msg']}" + (f", found {found}" if len(found) < 60 else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
