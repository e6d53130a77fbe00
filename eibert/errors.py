"""Every error a user can cause. A message names the location, the value found, the value expected and the remedy.

EibertError
├── ParamsError            params.yaml or --set: unknown key, wrong type, out of bounds
├── DataError              a source cannot be read or does not define a task
│   └── GateError          the data gate found a failed expectation
├── ArtifactError
│   ├── MissingArtifactError   a stage's output is missing
│   └── CorruptArtifactError   a file differs from its manifest
├── TeacherError           the teacher cannot be loaded or is not the one expected
├── BudgetError            the bundle is larger than export.budget_bytes
├── BundleError            a bundle cannot be loaded
├── ShapeError             tensors or student shape do not fit
├── TrailError             the trail of records is altered, or has no record of a file
├── SignatureError         a key is unusable, or a signature invalid
└── RunError               the pipeline cannot run here
    └── RegistryError          MLflow's registry does not answer, or has no such version
"""

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""


class EibertError(Exception):
    """An error a user can cause and fix; the command line prints it without a traceback."""


class ParamsError(EibertError):
    """A parameter is unknown, of the wrong type or out of bounds."""


class DataError(EibertError):
    """A data source cannot be read, or its rows do not define a task."""


class GateError(DataError):
    """The data gate stopped the pipeline."""


class ArtifactError(EibertError):
    """An artifact cannot be used."""


class MissingArtifactError(ArtifactError):
    """A stage's output is missing."""


class CorruptArtifactError(ArtifactError):
    """A file of an artifact differs from its manifest."""


class TeacherError(EibertError):
    """The teacher cannot be loaded, or is not the one expected."""


class BudgetError(EibertError):
    """The bundle is larger than its budget."""


class BundleError(EibertError):
    """A bundle is missing, altered or of an unknown format."""


class ShapeError(EibertError, ValueError):
    """Tensors, or the parts of a student's shape, do not fit together."""


class TrailError(EibertError):
    """The trail is altered, or has no record of what was asked for."""


class SignatureError(EibertError):
    """A key is unusable, or a signature is invalid."""


class RunError(EibertError):
    """The pipeline cannot run as requested."""


class RegistryError(RunError):
    """The registry does not answer, or does not have what was asked for."""
