"""The settings of the stage "reference"."""

from pydantic import Field

from seemant.core.config import Config


class ReferenceConfig(Config):
    """How a fair reference is made of a model that is quantised already: by dithering."""

    seed: int = Field(default=0, ge=0)
    """of the noise; a ranking that differs between two seeds is undecided"""

    subject: str = ""
    """what the measurements are about; default: MODEL+dither/SEED from the input's label"""
