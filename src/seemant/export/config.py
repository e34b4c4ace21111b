"""The settings of the stage "export"."""

from seemant.core.config import Config


class ExportConfig(Config):
    """What goes into the folder to take away."""

    device: str = "this-machine"
    """with a recommendation: the device whose pick is exported"""

    name: str = ""
    """what the bundle's card and server call the model; default: the variant's subject"""

    subject: str = ""
    """what the measurements are about; default: as `name`"""

    hf: bool = False
    """also write the weights as a Hugging Face folder (safetensors, fp32), adapter merged"""

    compressed_tensors: bool = False
    """also write the integers as a Hugging Face folder that transformers and vLLM load in few bits
    (compressed-tensors, pack-quantized); for variants whose blocks have 4 or 8 bits symmetric"""
