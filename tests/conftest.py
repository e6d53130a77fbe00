"""A tiny seeded teacher over a small vocabulary, saved as transformers saves models; no network."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from eibert.corpus import Split, TaskSpec
from eibert.params.load import Params, load
from eibert.params.section import Pooling
from eibert.student import Student, StudentShape
from eibert.teacher import Teacher
from eibert.teacher_files import load_base
from tasks import tracking
from tests.recorded import make_repository
from tests.toy import letters_and, random_teacher

ROOT = Path(__file__).resolve().parents[1]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("play", "stop", "the", "song", "light", "turn", "on", "off", "call", "mum", "now", "##ing", "please")
TOKENS = letters_and(WORDS)

LONGEST = ("test_end_to_end.py", "test_mutations.py")
"""Files to start first, so that no worker is left with them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the longest files first; the order within a file is kept."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def params() -> Params:
    """The parameters of the repository's own workspace."""
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of two layers of width 16 and its vocab.txt."""
    return random_teacher(tmp_path_factory.mktemp("teacher"), TOKENS)


@pytest.fixture
def teacher(teacher_folder: Path) -> Teacher:
    """The tiny base teacher, freshly loaded."""
    return load_base(teacher_folder, Pooling.MEAN)


@pytest.fixture
def student() -> Student:
    """A tiny untrained student with a task head and weights far from zero."""
    torch.manual_seed(1)
    shape = StudentShape(2, 12, 3, 24, 6, 32, 0.1, 16, 3, lowercase=True, strip_accents=None)
    student = Student(shape, TOKENS)
    for parameter in student.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return student.eval()


@pytest.fixture(scope="session")
def spec() -> TaskSpec:
    """Three classes."""
    return TaskSpec("toy", pair=False, labels=("call", "play", "stop"), metric="accuracy")


@pytest.fixture(scope="session")
def rows() -> Split:
    """Ninety rows whose first word determines the class."""
    generator = np.random.default_rng(0)
    targets = generator.integers(3, size=90)
    rest = ["the song now", "mum please", "the light", "singing songs on"]
    texts = [
        f"{('call', 'play', 'stop')[t]} {rest[generator.integers(4)]} {LETTERS[generator.integers(26)]}"
        for t in targets
    ]
    return Split(texts, None, targets)


@pytest.fixture(scope="session")
def _signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("signed") / "root")


@pytest.fixture
def signed(_signed: Path, tmp_path: Path) -> Path:
    """A fresh repository with one recorded and signed bundle in its workspace `w`."""
    shutil.copytree(_signed, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs; creating one takes seconds, copying it no time."""
    root = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert tracking.deliver(root, root) == ""
    return root / "mlflow.db"
