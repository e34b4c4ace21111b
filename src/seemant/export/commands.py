"""The commands that run a bundle, quoted for a POSIX shell."""

import shlex
from collections.abc import Mapping
from typing import Any

CONTEXT = 2048  # tokens: what a small board can hold; the models take more


def commands(
    alias: str, metadata: Mapping[str, Any], *, prompt: str, adapter: bool
) -> dict[str, str]:
    """Return command lines by what they do, to be given inside the bundle's folder.

    alias: what the server calls the model; any text, it is quoted.
    prompt: an example, as the model wants it.
    """
    architecture = metadata.get("general.architecture")
    longest = metadata.get(f"{architecture}.context_length", CONTEXT)
    context = str(min(int(longest), CONTEXT))
    lora = ["--lora", "adapter.gguf"] if adapter else []
    server = ["llama-server", "--model", "model.gguf", *lora, "--alias", alias]
    server += ["--ctx-size", context, "--host", "127.0.0.1", "--port", "8080"]
    once = ["llama-completion", "--model", "model.gguf", *lora, "--ctx-size", context]
    once += ["--temp", "0", "--predict", "64", "--no-conversation", "--prompt", prompt]
    own = ["seemant", "serve", "path:model.gguf"]
    own += ["--adapter", "adapter.gguf"] if adapter else []
    return {
        "serve (OpenAI-compatible, this machine only)": shlex.join(own),
        "serve with llama.cpp": shlex.join(server),
        "ask once with llama.cpp": shlex.join(once),
        "check that no byte changed": "sha256sum --check SHA256SUMS",
    }


def as_text(lines: Mapping[str, str]) -> str:
    """Return serve.txt: a comment and a command, again and again."""
    return "".join(f"# {what}\n{line}\n\n" for what, line in lines.items())
