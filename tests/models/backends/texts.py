"""Texts for the llama.cpp backend, and a way to its seats."""

from seemant.models.backends.llama_seats import LlamaSeats
from seemant.models.backends.llamacpp import LlamaCpp

SHOTS = "Question: the cat?\nAnswer: a dog.\n\n" * 6  # over three blocks of bytes
LONG = SHOTS + "x" * 150


def seats_of(model: LlamaCpp) -> LlamaSeats:
    assert model._seats is not None
    return model._seats
