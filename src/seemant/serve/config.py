"""What a server can be told."""

from ipaddress import ip_address

from pydantic import Field

from seemant.core.config import Config
from seemant.core.errors import BadConfig
from seemant.models.chat_words import TemplateChoice


class ServeConfig(Config):
    """How a model is served. Serving makes no artefact, so this is no stage."""

    host: str = "127.0.0.1"
    """address to listen on; anything but loopback needs a token"""
    port: int = Field(default=8080, ge=0, le=65535)
    """port to listen on; 0 takes any free one"""
    token: str | None = None
    """clients must send it as `Authorization: Bearer TOKEN`"""
    threads: int = Field(default=1, ge=1)
    """threads that compute; no more than there are idle cores"""
    context: int = Field(default=2048, ge=16)
    """the most tokens that a conversation and its answer may have"""
    template: TemplateChoice = None
    """file of another chat template than the model's own; plain: question and answer lines"""
    max_waiting: int = Field(default=16, ge=1)
    """requests that may wait for their turn; more are told to come back"""


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(config: ServeConfig) -> None:
    """Refuse to be open to a network without a token.

    Raises:
        BadConfig: the host is not loopback and there is no token, or the token is empty.
    """
    if config.token is not None and len(config.token) < 8:
        raise BadConfig("the token has fewer than 8 characters", fix="use a longer one")
    if config.token is None and not is_loopback(config.host):
        raise BadConfig(
            f"{config.host} can be reached from other machines and no token is set",
            fix="add --token SECRET, or serve on 127.0.0.1",
        )
