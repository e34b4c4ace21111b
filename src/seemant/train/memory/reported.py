"""What others report of the memory of 4-bit fine-tuning, each with its batch and its length.

They stand beside a plan, never under it: other code, other losses, and some say neither batch nor
length.
"""

from functools import cache
from pathlib import Path

from seemant.core.jsonl import read_json
from seemant.core.measurement import Measurement


@cache
def reported_points() -> tuple[Measurement, ...]:
    """Return the published points, of the origin "reported"; unsaid conditions are None."""
    found = read_json(Path(__file__).parent / "data" / "reported_memory.json")
    return tuple(Measurement.model_validate(each) for each in found)
