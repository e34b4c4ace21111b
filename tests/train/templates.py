"""Chat templates in the manner of four families, each with a tokenizer that knows its pieces.

They do what the families' own do where it matters for labels: Gemma refuses a system role and
ends turns with its own piece, Qwen2.5 and SmolLM2 put a system turn of their own where none is
given, Llama 3 begins with its BOS and trims what it is given.
"""

from seemant.models.prompts import Template, make_template
from seemant.models.tokenizer import Tokenizer
from tests.train.tiny import byte_level_with

_CHATML = (
    "{%% if messages[0]['role'] != 'system' %%}{{ '<|im_start|>system\\n%s<|im_end|>\\n' }}"
    "{%% endif %%}{%% for m in messages %%}"
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{%% endfor %%}"
    "{%% if add_generation_prompt %%}{{ '<|im_start|>assistant\\n' }}{%% endif %%}"
)
SMOLLM2 = _CHATML % "You are a helpful AI assistant named SmolLM."
QWEN25 = _CHATML % "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + m['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim"
    " + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)

_CHATML_PIECES = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# name: source, end of text, special pieces, BOS (added by the tokenizer), end of a turn
_FAMILIES: dict[str, tuple[str, str, tuple[str, ...], str | None, str]] = {
    "smollm2": (SMOLLM2, "<|im_end|>", _CHATML_PIECES, None, "<|im_end|>"),
    "qwen2.5": (QWEN25, "<|im_end|>", _CHATML_PIECES, None, "<|im_end|>"),
    "gemma": (
        GEMMA,
        "<eos>",
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<bos>",
        "<end_of_turn>",
    ),
    "llama3": (
        LLAMA3,
        "<|eot_id|>",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|begin_of_text|>",
        "<|eot_id|>",
    ),
}
FAMILIES = tuple(_FAMILIES)


def form_of_family(name: str) -> tuple[Template, Tokenizer]:
    """A family's template and a byte-level tokenizer with its special pieces."""
    source, eos, special, bos, end = _FAMILIES[name]
    template = make_template(source, eos)
    assert template.end_of_turn == end
    return template, byte_level_with(special, bos=bos, eos=eos)
