"""Parameters of retention."""

from pydantic import Field

from eibert.params.section import Section


class RetentionParams(Section):
    """How long versions not in service are kept; a version is removed once beyond both bounds."""

    versions: int = Field(ge=1, description="Newest versions kept whatever their age.")
    days: float = Field(
        ge=0.0, description="Days for which every version is kept, with what its commit needs from the cache."
    )
    runs_days: float = Field(
        ge=0.0,
        description="Days for which MLflow runs are kept, and as many again in which they can be restored (runs of "
        "registered versions stay with their version); also for Prefect flow runs unless a server keeps them.",
    )
    retrainings: int = Field(ge=1, description="Newest retrainings kept in the history; older ones are deleted.")
    collect: bool = Field(
        description="Clean up after each retraining that did not fail; else only `eibert collect` does."
    )
