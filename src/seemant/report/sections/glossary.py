"""The words of the page, each in a sentence for somebody who never met them."""

from seemant.report.html import Html, el

_WORDS = (
    ("adapter, LoRA", "a small file of changes laid over a model: what tuning learned"),
    ("base", "the model as it came, before tuning and compression"),
    ("bits", "how much room each number of the model takes: fewer bits make a smaller file and a "
             "coarser model; most models come with 16"),
    ("calibration", "text that a method looks at to see which of the model's numbers matter"),
    ("chance, guessing", "how often an answer would be right without knowing anything"),
    ("choice accuracy, right choice", "how often the model finds the right one among given "
                                      "answers; easier than answering by itself"),
    ("deployed", "measured on the file and the program that will be used in the end"),
    ("distillation", "a larger model writes questions and answers that a smaller one learns from"),
    ("family", "the same question in several languages or wordings; counted as one piece of "
               "evidence"),
    ("floor", "the least that a model must reach before it is recommended"),
    ("frontier", "the models that no other one beats on every count at once"),
    ("GPTQ", "a way of rounding that lets each number make up for the error of those before it; "
             "at 4 bits it keeps far more than rounding each by itself"),
    ("held-out", "text that was kept aside, never trained on"),
    ("interval, “likely”", "the range in which the true value lies in 95 of 100 such "
                           "measurements; a wide one means too few questions"),
    ("KLD, divergence", "how differently a compressed model chooses its next word from the model "
                        "that it was made from; 0 is the same, above 0.5 nats it is damaged"),
    ("nats", "a unit of surprise, as bits are (1 nat is 1.44 bits): how unexpected a word was to "
             "the model"),
    ("PMI margin, quality", "by how much the model finds the right answer likelier than wrong "
                            "ones; 0 is chance"),
    ("quantise, round", "to store the model's numbers with fewer bits"),
    ("search, mix", "each part of the model gets the format that it can bear, by measurement"),
    ("simulated", "computed to learn something; no program can load such a file"),
    ("token", "a piece of a word: what models read and write"),
)  # fmt: skip


def glossary() -> Html:
    """Return the list of words."""
    entries = [part for word, told in _WORDS for part in (el("dt", word), el("dd", f"{told}."))]
    return el("dl", *entries, class_="facts glossary")
