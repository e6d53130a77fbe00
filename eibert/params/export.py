"""Parameters of `export`."""

from pydantic import Field

from eibert.params.section import Section, Share


class ExportParams(Section):
    """The shipped bundle."""

    budget_bytes: int = Field(ge=1, description="Maximum total bytes of the bundle's files.")
    opset: int = Field(ge=17, le=20, description="ONNX opset version.")
    ir_version: int = Field(ge=8, le=9, description="ONNX IR version; onnxruntime 1.17 reads none later.")
    min_agreement: Share = Field(description="Minimum share of dev rows where bundle and quantized torch model agree.")
