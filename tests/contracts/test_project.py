"""Facts stated in several files must agree."""

import importlib.metadata
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from eibert.params.load import Params, load
from flows.describe import markdown

PROJECT = Path(__file__).parents[2]
OTHER = {"seed", "teacher", "judge", "bench", "retrain", "drift", "notify", "retention"}
"""Keys of params.yaml that belong to no stage."""
SECTIONS = [found for name, field in Params.model_fields.items() if (found := field.alias or name) not in OTHER]


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    return found


def test_params_are_valid_and_list_the_sections_in_pipeline_order() -> None:
    load(PROJECT / "params.yaml")
    raw = yaml.safe_load((PROJECT / "params.yaml").read_text())
    assert list(raw) == [field.alias or name for name, field in Params.model_fields.items()]
    assert list(raw)[2 : 2 + len(SECTIONS)] == SECTIONS


def test_stages_are_the_sections(stages: dict[str, Any]) -> None:
    assert list(stages) == ["code", *SECTIONS]


@pytest.mark.parametrize("stage", ["code", *SECTIONS])
def test_stage_has_one_word(stages: dict[str, Any], stage: str) -> None:
    assert stages[stage]["cmd"] == f"eibert stage {stage}"
    assert stages[stage]["outs"] == [f"data/{stage}"]
    assert (PROJECT / "tasks" / f"{stage}.py").is_file()
    assert (PROJECT / "eibert" / f"{stage}.py").is_file() or (PROJECT / "eibert" / stage / "__init__.py").is_file()


@pytest.mark.parametrize("stage", SECTIONS)
def test_stage_depends_on_its_section_and_its_code(stages: dict[str, Any], stage: str) -> None:
    assert stage in stages[stage]["params"]
    assert f"data/code/{stage}.json" in stages[stage]["deps"]
    assert (PROJECT / "eibert" / "params" / f"{stage}.py").is_file()


@pytest.mark.parametrize("stage", SECTIONS)
def test_adapter_reads_only_what_its_stage_depends_on(stages: dict[str, Any], stage: str) -> None:
    text = (PROJECT / "tasks" / f"{stage}.py").read_text()
    deps = [dep.removeprefix("data/") for dep in stages[stage]["deps"]]
    named = set(re.findall(rf'"((?:{"|".join(SECTIONS)})(?:/[\w.]+)?)"', text)) - {stage}
    verified = {name for name in named if "/" in name}
    assert {name for name in verified if not any(name == dep or name.startswith(f"{dep}/") for dep in deps)} == set()


@pytest.mark.parametrize("package", ["eibert", "tasks", "flows"])
def test_package_is_this_projects(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin == str(PROJECT / package / "__init__.py")


def test_imports_keep_their_layers() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_orchestrators_have_one_owner_each() -> None:
    owners = {
        "prefect": {
            "flows/compress.py",
            "flows/flow_runs.py",
            "flows/retrain_flow.py",
            "flows/schedule.py",
            "flows/server.py",
        },
        "dvc": {
            "flows/cache.py",
            "flows/graph.py",
            "flows/healing.py",
            "flows/stage.py",
            "flows/stage_failure.py",
            "flows/status.py",
            "flows/whole.py",
        },
        "mlflow": {
            "tasks/mlflow_store.py",
            "tasks/packing.py",
            "tasks/registry.py",
            "tasks/runs.py",
            "tasks/served.py",
            "tasks/tracking.py",
        },
    }
    for path in [path for package in ("eibert", "tasks", "flows") for path in (PROJECT / package).rglob("*.py")]:
        imported = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
        for library in imported & owners.keys():
            assert path.relative_to(PROJECT).as_posix() in owners[library], f"{path} imports {library}"


def test_extras_are_within_the_constraints() -> None:
    constraints = {
        line.split("==")[0].lower().replace("_", "-") for line in (PROJECT / "constraints.txt").read_text().split()
    }
    required = importlib.metadata.requires("eibert") or []
    names = {re.split(r"[<>=;\[ ]", line)[0].lower().replace("_", "-") for line in required}
    assert names - constraints == set()


def test_every_make_target_that_is_named_is_one() -> None:
    targets = set(re.findall(r"^([\w.-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    texts = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
    texts += [path for package in ("eibert", "tasks", "flows") for path in (PROJECT / package).rglob("*.py")]
    for path in texts:
        named = re.findall(r"(?:`|^\s*(?:\$ )?)make ([\w-]+)(?=[^\n]*`|\s*(?:#|$))", path.read_text(), re.MULTILINE)
        assert set(named) <= targets, f"{path.relative_to(PROJECT)}: make {set(named) - targets}"


def test_reference_of_the_parameters_is_up_to_date() -> None:
    assert (PROJECT / "docs" / "params.md").read_text() == markdown()


def test_every_command_of_the_readme_is_one() -> None:
    from typer.main import get_command

    from flows.cli import app

    commands: Any = get_command(app)
    for line in re.findall(r"^\s*(?:\$ )?eibert ((?:\w+).*)$", (PROJECT / "README.md").read_text(), re.MULTILINE):
        name, *words = line.split("#")[0].split()
        assert name in commands.commands, f"README: eibert {name}"
        known = {option for parameter in commands.commands[name].params for option in parameter.opts}
        options = {word.split("=")[0] for word in words if word.startswith("-")}
        assert options <= known, f"README: eibert {line}"
