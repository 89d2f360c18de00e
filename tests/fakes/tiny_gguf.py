"""A language model of a few hundred kilobytes with random weights: it talks nonsense, but it is a real GGUF file."""

from __future__ import annotations

from pathlib import Path

WIDTH, HIDDEN, LAYERS, HEADS, KEY_HEADS = 64, 128, 2, 4, 2
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def write_tiny_gguf(path: Path) -> None:
    """Write it. Needs the packages gguf and numpy, which come with the extra."""
    import gguf
    import numpy

    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *([_BYTE] * 256)]
    letters = ["\u2581", *map(chr, range(33, 127)), *(f"\u2581{word}" for word in ("the", "a", "is", "you", "what"))]
    tokens += [*letters, "<|im_start|>", "<|im_end|>"]
    kinds += [*([_NORMAL] * len(letters)), _CONTROL, _CONTROL]
    chance = numpy.random.default_rng(0)

    def weights(*shape: int) -> object:
        return (chance.standard_normal(shape) * 0.08).astype("float32")

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_scores([-1000.0 if kind == _BYTE else -number / 10 for number, kind in enumerate(kinds)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_unk_token_id(0)
    writer.add_chat_template(_TEMPLATE)
    ones = numpy.ones(WIDTH, "float32")
    tensors = {"token_embd": weights(len(tokens), WIDTH), "output_norm": ones, "output": weights(len(tokens), WIDTH)}
    narrow = WIDTH * KEY_HEADS // HEADS
    for layer in range(LAYERS):
        block = {
            "attn_norm": ones,
            "ffn_norm": ones,
            "attn_q": weights(WIDTH, WIDTH),
            "attn_k": weights(narrow, WIDTH),
            "attn_v": weights(narrow, WIDTH),
            "attn_output": weights(WIDTH, WIDTH),
            "ffn_gate": weights(HIDDEN, WIDTH),
            "ffn_up": weights(HIDDEN, WIDTH),
            "ffn_down": weights(WIDTH, HIDDEN),
        }
        tensors |= {f"blk.{layer}.{name}": tensor for name, tensor in block.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
