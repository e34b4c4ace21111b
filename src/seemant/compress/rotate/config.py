"""The settings of the stage "rotate"."""

from pydantic import Field

from seemant.core.config import Config


class RotateConfig(Config):
    """A model with the same function whose residual stream is turned, outliers spread."""

    seed: int = Field(default=0, ge=0)
    """of the rotation's signs"""

    subject: str = ""
    """what the measurements are about; default: MODEL+rotated/SEED from the input's label"""
