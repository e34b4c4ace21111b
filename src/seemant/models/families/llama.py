"""Llama: also SmolLM2 and whatever else is saved as a Llama."""

from seemant.models.families.family import Table

ATTENTION = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})
MLP = frozenset({"gate_proj", "up_proj", "down_proj"})

TABLE = Table(
    arch="llama",
    model_type="llama",
    model_class="LlamaForCausalLM",
    defaults={
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    },
    interleaved=True,
    may_have=ATTENTION | MLP,
    gguf_biases=ATTENTION,
    rotations=frozenset({"default", "linear", "llama3"}),
)
