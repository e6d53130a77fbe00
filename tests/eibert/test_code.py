"""What counts as a change of a stage's code."""

import ast
import importlib.metadata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert.code import CodeReader, project_root
from eibert.errors import RunError
from flows.changes import code_changes

LOSS_IMPORT = "from eibert import losses"
LOSSES = '''
import math

LIMIT = 3


def kl(x):
    """Old."""
    return math.log(x)


def mse(x):
    return x
'''

BENEATH_PRUNE = {"sklearn": "scikit-learn", "scipy": "scipy"}

FILES = {
    "eibert/__init__.py": '__version__ = "1"\n',
    "eibert/losses.py": LOSSES,
    "eibert/prune.py": "import sklearn.metrics\nfrom eibert import losses\nfrom eibert.params import prune\n",
    "eibert/params/__init__.py": "",
    "eibert/params/prune.py": "import pydantic\n",
    "eibert/params/words.txt": "one\n",
    "eibert/other.py": "import torch\n",
    "tasks/__init__.py": "",
    "tasks/prune.py": "def run():\n    from eibert.prune import losses\n",
    "tasks/prune.html.j2": "<p>",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def edit(root: Path, name: str, old: str, new: str) -> list[str]:
    """Edits one file and returns the reported changes."""
    before = CodeReader(root).digests("prune")
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return code_changes(before, CodeReader(root).digests("prune"))


def test_reached_modules_are_found_through_imports_anywhere(root: Path) -> None:
    found = CodeReader(root).digests("prune")
    assert list(found["modules"]) == [
        "eibert/__init__.py", "eibert/losses.py", "eibert/params/__init__.py", "eibert/params/prune.py",
        "eibert/prune.py", "tasks/__init__.py", "tasks/prune.py",
    ]  # fmt: skip
    assert list(found["data"]) == ["eibert/params/words.txt", "tasks/prune.html.j2"]


def test_libraries_are_those_imported_with_their_versions(root: Path) -> None:
    found = CodeReader(root).digests("prune")["libraries"]
    versions = {name: importlib.metadata.version(owner) for name, owner in BENEATH_PRUNE.items()}
    assert found == {"python": "3.11", **versions}


def test_a_library_that_fetches_or_locks_shapes_no_result(root: Path) -> None:
    assert edit(root, "eibert/losses.py", "import math", "import math\nimport filelock\nimport huggingface_hub") == [
        "code eibert/losses.py"
    ]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("eibert/losses.py", '"""Old."""', '"""New."""'),
        ("eibert/losses.py", '    """Old."""\n', ""),
        ("eibert/losses.py", "LIMIT = 3", 'LIMIT = 3\n"""Nats, at most."""'),
        ("eibert/losses.py", "LIMIT = 3", "# why\nLIMIT = (\n    3\n)"),
        ("eibert/prune.py", f"import sklearn.metrics\n{LOSS_IMPORT}", f"{LOSS_IMPORT}\nimport sklearn.metrics"),
        ("eibert/other.py", "torch", "numpy"),
        ("eibert/__init__.py", '"1"', '"2"'),
    ],
)  # fmt: skip
def test_comments_docstrings_layout_and_unreached_modules_do_not_count(
    root: Path, name: str, old: str, new: str
) -> None:
    assert edit(root, name, old, new) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "lines"),
    [
        ("eibert/losses.py", "math.log(x)", "math.log2(x)", ["code eibert/losses.py:kl"]),
        ("eibert/losses.py", "LIMIT = 3", "LIMIT = 4", ["code eibert/losses.py"]),
        ("eibert/losses.py", "import math", "import cmath as math", ["code eibert/losses.py"]),
        ("eibert/params/words.txt", "one", "two", ["code eibert/params/words.txt"]),
        ("tasks/prune.html.j2", "<p>", "<b>", ["code tasks/prune.html.j2"]),
    ],
)
def test_other_changes_are_named(root: Path, name: str, old: str, new: str, lines: list[str]) -> None:
    assert edit(root, name, old, new) == lines


def test_new_import_brings_its_module(root: Path) -> None:
    lines = edit(root, "eibert/losses.py", "import math", "import math\n\nfrom . import other")
    assert "code eibert/other.py added" in lines
    assert any(line.startswith("library torch unused →") for line in lines)


def test_missing_adapter_is_named(root: Path) -> None:
    with pytest.raises(RunError, match=r"tasks/distill\.py: missing"):
        CodeReader(root).digests("distill")


def test_module_that_cannot_be_parsed_is_named(root: Path) -> None:
    with pytest.raises(RunError, match=r"losses\.py: cannot be parsed"):
        edit(root, "eibert/losses.py", "LIMIT = 3", "LIMIT =")


def test_a_module_that_many_stages_reach_is_parsed_once(
    stages: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: Counter[str] = Counter()
    parse = ast.parse

    def counted(source: bytes, name: str) -> ast.Module:
        parsed[name] += 1
        return parse(source, name)

    monkeypatch.setattr("eibert.code.ast.parse", counted)
    reader = CodeReader(project_root())
    found = [reader.digests(stage)["modules"] for stage in stages()]
    assert sum(len(modules) for modules in found) > len(parsed) >= len({name for modules in found for name in modules})
    assert set(parsed.values()) == {1}


@pytest.fixture
def stages() -> Callable[[], list[str]]:
    import yaml

    graph = yaml.safe_load((project_root() / "dvc.yaml").read_text())
    return lambda: [stage for stage in graph["stages"] if stage != "code"]
