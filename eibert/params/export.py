"""Parameters of `export`."""

from pydantic import Field

from eibert.params.section import Section, Share


class ExportParams(Section):
    """The shipped bundle."""

    budget_bytes: int = Field(ge=1, description="Most bytes of all files of the bundle together.")
    opset: int = Field(ge=17, le=20, description="ONNX operator set.")
    ir_version: int = Field(ge=8, le=9, description="ONNX file format version; onnxruntime 1.17 reads no later one.")
    min_agreement: Share = Field(description="Fewest dev rows on which bundle and quantized torch model agree.")
