"""The settings of the stage "convert"."""

from seemant.core.config import Config
from seemant.core.records import Lang


class ConvertConfig(Config):
    """A Hugging Face folder as one GGUF file; nothing is rounded."""

    name: str = ""
    """what the file calls the model; default: the reference's last part"""

    languages: tuple[Lang, ...] = ()
    """languages that the file says it carries; none: it says nothing"""

    licence: str | None = None
    """the model's licence, as its card names it; none: the file says nothing"""
