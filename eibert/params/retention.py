"""Parameters of retention."""

from pydantic import Field

from eibert.params.section import Section


class RetentionParams(Section):
    """What is kept of versions that are not in service; a version goes when it is beyond both bounds."""

    versions: int = Field(ge=1, description="Newest versions that are kept whatever their age.")
    days: float = Field(
        ge=0.0, description="Days for which every version, and what its commit needs of the cache, stays."
    )
    runs_days: float = Field(
        ge=0.0,
        description="Days for which MLflow's runs stay, and as many again in which they can be restored (those of "
        "registered versions stay with them); for Prefect's flow runs where no server keeps them.",
    )
    retrainings: int = Field(ge=1, description="Newest retrainings that the history shows.")
    collect: bool = Field(description="Collect after each retraining; else only `eibert collect` does.")
