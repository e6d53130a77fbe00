"""Code of the pyfunc model in a registry version, copied into it as text; never imported from here.

Input rows have `text` (and `text_b` for pairs); output rows have `label` and `score`, or `value` in a regression. Needs
mlflow and the runtime part of eibert: numpy, onnxruntime, tokenizers.
"""

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from eibert.runtime.model import Model


class Served(PythonModel):  # type: ignore[misc]
    """A bundle behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the version's bundle; its files are verified against its configuration."""
        self.model = Model.load(context.artifacts["bundle"])

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 — MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 — MLflow's signature
    ) -> pd.DataFrame:
        """Returns one output row per input row, in order."""
        texts = model_input["text"].tolist()
        if self.model.bundle.pair:
            texts = list(zip(texts, model_input["text_b"].tolist(), strict=True))
        found = self.model.predict(texts)
        if not self.model.bundle.labels:
            return pd.DataFrame({"value": [answer.score for answer in found]})
        labels, scores = [answer.label for answer in found], [answer.score for answer in found]
        return pd.DataFrame({"label": labels, "score": scores})


set_model(Served())
