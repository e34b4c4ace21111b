"""Chat templates in the manner of some that are in use, by what is odd about them."""

from seemant.models.backends.tiny import BOS

BEGUN = "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
TURN = "'<|' + m.role + '|>' + m.content + '<|end|>'"
PLAIN_TURNS = "{%- for m in messages -%}{{ " + TURN + " }}{%- endfor -%}" + BEGUN
ASSISTANT = "{%- for m in messages -%}{%- if m.role == 'assistant' -%}"

GENERATION = {
    "tags that trim": ASSISTANT
    + "{{ '<|assistant|>' }}{%- generation -%} {{ m.content }}<|end|> {%- endgeneration -%}"
    + "{%- else -%}{{ "
    + TURN
    + " }}{%- endif -%}{%- endfor -%}"
    + BEGUN,
    "the answer alone between tags": ASSISTANT
    + "{{ '<|assistant|>' }}{% generation %}{{ m.content }}{% endgeneration %}{{ '<|end|>' }}"
    + "{%- else -%}{{ "
    + TURN
    + " }}{%- endif -%}{%- endfor -%}"
    + BEGUN,
    "a condition and a loop between tags": ASSISTANT
    + "{% generation %}{% for c in [m.content] %}{% if c %}{{ '<|assistant|>' + c }}{% endif %}"
    + "{% endfor %}<|end|>{% endgeneration %}{%- else -%}{{ "
    + TURN
    + " }}{%- endif -%}{%- endfor -%}"
    + BEGUN,
}
DATED = {
    "a day by numbers": "{{ strftime_now('%Y-%m-%d') }}" + PLAIN_TURNS,
    "a date where none was given": "{%- if date_string is not defined -%}"
    "{%- if strftime_now is defined -%}{%- set date_string = strftime_now('%d %b %Y') -%}"
    "{%- else -%}{%- set date_string = '26 Jul 2024' -%}{%- endif -%}{%- endif -%}"
    "{{ 'Today Date: ' + date_string }}" + PLAIN_TURNS,
    "yesterday, by hand": "{%- set day = strftime_now('%d') | int - 1 -%}{{ day ~ ' ' }}"
    + PLAIN_TURNS,
}
EOS_TURNS = {
    "Mistral's brackets": "{{ bos_token }}{%- for m in messages -%}{%- if m.role == 'user' -%}"
    "{{ '[INST] ' + m.content + ' [/INST]' }}{%- else -%}{{ ' ' + m.content + eos_token }}"
    "{%- endif -%}{%- endfor -%}",
    "an end behind all but the last": "{%- for m in messages -%}{{ m.role + ': ' + m.content }}"
    "{%- if not loop.last -%}{{ eos_token }}{%- endif -%}{%- endfor -%}{{ ' assistant: ' }}",
    "an end where one is known": "{%- for m in messages -%}{{ m.role + ': ' + m.content }}"
    "{{ eos_token if eos_token is defined and eos_token else '###' }}{%- endfor -%}" + BEGUN,
    "a piece that the model lacks": "{{ (cls_token or '') ~ sep_token }}" + PLAIN_TURNS,
}
BEGINNINGS = {
    "by its name": "{{ bos_token }}" + PLAIN_TURNS,
    "before the first turn": "{%- for m in messages -%}{{ (bos_token if loop.first else '') + "
    + TURN
    + " }}{%- endfor -%}"
    + BEGUN,
    "spelled out": BOS + PLAIN_TURNS,
    "nowhere": PLAIN_TURNS,
}
ENVIRONMENT = {
    "tools that are absent": "{%- if tools is not none and tools is defined and tools -%}"
    "{{ tools | tojson }}{%- endif -%}{%- if documents -%}x{%- endif -%}" + PLAIN_TURNS,
    "letters and signs as JSON": "{%- for m in messages -%}{{ m | tojson }}{%- endfor -%}" + BEGUN,
    "JSON with an indent": "{%- for m in messages -%}{{ m | tojson(indent=2) }}{%- endfor -%}"
    + BEGUN,
    "a loop that goes on": "{%- for m in messages -%}{%- if m.role == 'tool' -%}{%- continue -%}"
    "{%- endif -%}{{ " + TURN + " }}{%- endfor -%}" + BEGUN,
    "lines that jinja trims": "{% for m in messages %}\n    {% set x = m.content %}\n"
    "{{ '<|' + m.role + '|>' + x }}<|end|>\n{% endfor %}\n" + BEGUN,
    "a namespace and a macro": "{%- macro said(m) -%}{{ " + TURN + " }}{%- endmacro -%}"
    "{%- set ns = namespace(n=0) -%}{%- for m in messages -%}{%- set ns.n = ns.n + 1 -%}"
    "{{ ns.n ~ said(m) }}{%- endfor -%}" + BEGUN,
    "Python's own methods": "{%- for m in messages -%}{{ '<|' + m['role'].strip().upper() + '|>' }}"
    "{{ m.get('content').split('>')[-1].strip() + '<|end|>' }}{%- endfor -%}" + BEGUN,
}
PARTS = {
    "a list of parts": "{%- for m in messages -%}{{ m.role }}:{%- for p in m.content -%}"
    "{%- if p.type == 'text' -%}{{ p.text }}{%- endif -%}{%- endfor -%}<|end|>{%- endfor -%}"
    + BEGUN,
    "a text or a list": "{%- for m in messages -%}{{ m.role }}:{%- if m.content is string -%}"
    "{{ m.content }}{%- else -%}{%- for p in m.content -%}{{ p.text }}{%- endfor -%}{%- endif -%}"
    "<|end|>{%- endfor -%}" + BEGUN,
    "the first part alone": "{%- for m in messages -%}{{ m.role + m.content[0]['text'] }}"
    "<|end|>{%- endfor -%}" + BEGUN,
}
NO_SYSTEM = {
    "refused": "{%- if messages[0].role == 'system' -%}{{ raise_exception('System role not "
    "supported') }}{%- endif -%}" + PLAIN_TURNS,
    "dropped": "{%- for m in messages if m.role != 'system' -%}{{ "
    + TURN
    + " }}{%- endfor -%}"
    + BEGUN,
    "refused by alternation": "{%- for m in messages -%}{%- if (m.role == 'user') != "
    "(loop.index0 % 2 == 0) -%}{{ raise_exception('roles must alternate') }}{%- endif -%}{{ "
    + TURN
    + " }}{%- endfor -%}"
    + BEGUN,
}
UNTRAINABLE = {
    "a thought that is begun": PLAIN_TURNS.replace("'<|assistant|>'", "'<|assistant|><think>'"),
    "a channel before an answer": "{%- for m in messages -%}{{ '<|' + m.role + '|>' }}"
    "{%- if m.role == 'assistant' -%}final:{%- endif -%}{{ m.content }}<|end|>{%- endfor -%}"
    + BEGUN,
    "answers that are never shown": "{%- for m in messages if m.role == 'user' -%}{{ "
    + TURN
    + " }}{%- endfor -%}"
    + BEGUN,
}
