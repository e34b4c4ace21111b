"""`seemant`: the commands' names and one line each; a command's own file is imported when asked."""

import sys

from cyclopts import App, CycloptsError, CycloptsPanel, Parameter

from seemant import __version__
from seemant.cli.surroundings import begin, check_words, end, reader_left

COMMANDS = {
    "doctor": ("seemant.cli.doctor:doctor", "What this machine can do, what is missing."),
    "models": ("seemant.cli.models:app", "The catalogue: list, fetch, verify, clean."),
    "corpus": ("seemant.cli.corpus:app", "Uniform lines from huge files; figures of a text."),
    "distill": ("seemant.cli.stages:distill", "Instruction pairs from paragraphs, by a teacher."),
    "targets": ("seemant.cli.teach:targets", "Store a teacher's token probabilities on pairs."),
    "rewrite": ("seemant.cli.teach:rewrite", "Answers in the student's own words, facts kept."),
    "train": ("seemant.cli.train:train", "Fine-tune a model on pairs: adapters, or all of it."),
    "pretrain": ("seemant.cli.pretrain:pretrain", "A small model from nothing, on your text."),
    "probe": ("seemant.cli.stages:probe", "What a model knows: transcripts, scores, diagnoses."),
    "divergence": ("seemant.cli.stages:divergence", "How far a variant is from its reference."),
    "chat": ("seemant.cli.chat:chat", "Talk to a model, or to two side by side."),
    "convert": ("seemant.cli.compress:convert", "A Hugging Face folder as one GGUF file."),
    "rotate": ("seemant.cli.compress:rotate", "The same model, its outliers spread, to round."),
    "compress": ("seemant.cli.compress:compress", "Quantise a model into the file that ships."),
    "qat": ("seemant.cli.compress:qat", "Train codes and scales against the unrounded model."),
    "trim": ("seemant.cli.compress:trim", "A model with only the tokens that your text needs."),
    "attribution": ("seemant.cli.compress:attribution", "Where a variant's losses come from."),
    "lost-first": ("seemant.cli.compress:lost_first", "What compression takes first, and last."),
    "dither": ("seemant.cli.compress:dither", "A quantised model moved off its grid, to rank by."),
    "export": ("seemant.cli.stages:export", "A folder to take away: model, card, licence."),
    "bench": ("seemant.cli.stages:bench", "Latency, memory and size of models on this machine."),
    "frontier": ("seemant.cli.frontier:frontier", "The models that no other one beats."),
    "recommend": (
        "seemant.cli.frontier:recommend",
        "The pick for a device and a language, or why not.",
    ),
    "serve": ("seemant.cli.serve:serve", "An OpenAI-compatible server on this machine."),
    "study": ("seemant.cli.study:app", "Plan, run and read a whole study."),
}


def build(asked: str | None = None) -> App:
    """Return the command line without importing any command.

    The command that is asked for tells its own help; the others have one line in the list.
    """
    app = App(
        name="seemant",
        version=__version__,
        help="The smallest, cheapest language model for a device, a language and a quality: "
        "made, proved, and shown where it breaks.\n\nExample: seemant study run quick",
        default_parameter=Parameter(negative="", consume_multiple=True),
        suppress_keyboard_interrupt=False,
    )
    for place, (name, (target, line)) in enumerate(COMMANDS.items()):
        app.command(target, name=name, sort_key=place, **({} if name == asked else {"help": line}))
    return app


def main() -> None:
    """Run a command; exit 0 done, 1 the world failed, 2 wrong input or use, 130 interrupted."""
    begin()
    sys.exit(end(run(sys.argv[1:])))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    try:
        check_words(arguments)
        app = build(arguments[0] if arguments else None)
        result = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _misused(error)
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError as error:
        return 0 if reader_left() else _fail(error)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich ends so when the reader left
            return 0
        raise
    except Exception as error:
        return _fail(error)
    return result if isinstance(result, int) else 0


def _misused(error: CycloptsError) -> int:
    """Print what is wrong with the command as it was typed: as every other error, or the parser's.

    The parser would print a refused setting as pydantic does, with its types and addresses.
    """
    from seemant.cli.wrong_value import wrong_value

    refused = wrong_value(error)
    if refused is not None:
        return _fail(refused)
    if error.console is not None:
        error.console.print(CycloptsPanel(error))
    return 2


def _fail(error: Exception) -> int:
    from seemant.core.errors import SeemantError
    from seemant.core.os_errors import from_os_error

    if isinstance(error, OSError) and not isinstance(error, SeemantError):
        error = from_os_error(error)
    if not isinstance(error, SeemantError):
        raise error  # a bug of ours: show where
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    main()
