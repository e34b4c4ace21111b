"""The settings of "what is lost first"."""

from pydantic import NonNegativeInt

from seemant.core.config import Config


class LostFirstConfig(Config):
    """Compare what a tuned model's variants keep: taught facts, own facts, conduct, style."""

    taught: tuple[str, ...] = ()
    """Families of the suite whose facts the tuning data held; none: what the base chose wrongly."""
    subject: str | None = None
    """What the student is called in the measurements' conditions."""
    seed: NonNegativeInt = 0
    """Seed of the bootstrap."""
