"""Models of speech engines, made on the spot with random weights: what they say means nothing, but the engines load and
run them with the code that loads and runs real ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes import onnx_bytes as onnx


def whisper(folder: Path) -> Path:
    """A Whisper of one layer for faster-whisper, two megabytes."""
    from ctranslate2.specs import whisper_spec
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    width, inner, words, mels = 32, 64, 51_865, 80
    chance = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[Any, Any]:
        return (chance.standard_normal(shape) * 0.05).astype(np.float32)

    def linear(layer: Any, given: int, wanted: int) -> None:
        layer.weight, layer.bias = weights(wanted, given), np.zeros(wanted, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def attention(layer: Any, *, own: bool) -> None:
        norm(layer.layer_norm)
        sizes = ((width, 3 * width), (width, width)) if own else ((width, width), (width, 2 * width), (width, width))
        for part, (given, wanted) in zip(layer.linear, sizes, strict=True):
            linear(part, given, wanted)

    def forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, width, inner)
        linear(layer.linear_1, inner, width)

    spec = whisper_spec.WhisperSpec(1, 2, 1, 2)
    encoder, decoder = spec.encoder, spec.decoder
    for layer, given in ((encoder.conv1, mels), (encoder.conv2, width)):
        layer.weight, layer.bias = weights(width, given, 3), np.zeros(width, np.float32)
    encoder.position_encodings.encodings = weights(1500, width)
    decoder.position_encodings.encodings = weights(448, width)
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    attention(encoder.layer[0].self_attention, own=True)
    forward(encoder.layer[0].ffn)
    attention(decoder.layer[0].self_attention, own=True)
    attention(decoder.layer[0].attention, own=False)
    forward(decoder.layer[0].ffn)
    decoder.embeddings.weight = weights(words, width)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.scale_embeddings = False
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [220, 50_257]
    spec.config.alignment_heads, spec.config.lang_ids = [[0, 0], [0, 1]], list(range(50_259, 50_358))

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    letters |= {f"\u0120w{number}": number for number in range(len(letters), 50_257)}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    languages = ["en", *(code for code in _LANGUAGE_CODES if code not in ("en", "yue"))]
    marks = ["endoftext", "startoftranscript", *languages, "translate", "transcribe", "startoflm", "startofprev"]
    marks += ["nospeech", "notimestamps", *(f"{number * 0.02:.2f}" for number in range(1501))]
    tokenizer.add_special_tokens([AddedToken(f"<|{mark}|>", special=True, normalized=False) for mark in marks])
    assert tokenizer.get_vocab_size() == words

    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    spec.register_vocabulary([word for word, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])])
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    return folder


def piper(folder: Path, name: str = "en_US-tiny-low", rate: int = 22_050) -> Path:
    """A voice for Piper that turns each phoneme into a short hum."""
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    chance = np.random.default_rng(0)
    weights = {
        "table": chance.standard_normal((256, 16)).astype(np.float32),
        "wave": (chance.standard_normal((16, 1024)) * 0.05).astype(np.float32),
        "shape": np.array([1, 1, -1], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "nothing": np.zeros((), np.float32),
    }
    nodes = [
        onnx.node("Gather", ["table", "input"], ["embedded"]),
        onnx.node("MatMul", ["embedded", "wave"], ["mixed"]),
        onnx.node("Sin", ["mixed"], ["hum"]),
        onnx.node("Slice", ["scales", "one", "two"], ["length"]),
        onnx.node("Mul", ["hum", "length"], ["held"]),
        onnx.node("ReduceSum", ["input_lengths"], ["count"], keepdims=0),
        onnx.node("Cast", ["count"], ["counted"], to=onnx.FLOAT),
        onnx.node("Mul", ["counted", "nothing"], ["unused"]),
        onnx.node("Add", ["held", "unused"], ["sound"]),
        onnx.node("Reshape", ["sound", "shape"], ["output"]),
    ]
    inputs = [
        onnx.value("input", onnx.INT64, [1, "phonemes"]),
        onnx.value("input_lengths", onnx.INT64, [1]),
        onnx.value("scales", onnx.FLOAT, [3]),
    ]
    outputs = [onnx.value("output", onnx.FLOAT, [1, 1, "samples"])]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(onnx.model(nodes, inputs, outputs, weights))
    facts = {
        "audio": {"sample_rate": rate},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "num_symbols": 256,
        "num_speakers": 1,
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    }
    (folder / f"{name}.onnx.json").write_text(json.dumps(facts))
    return folder


def kokoro(folder: Path) -> Path:
    """A model for Kokoro with two speakers, which turns each phoneme into a short hum."""
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    chance = np.random.default_rng(0)
    longest, wide, speakers = 510, 8, 2
    weights = {
        "table": chance.standard_normal((256, 16)).astype(np.float32),
        "wave": (chance.standard_normal((16, 2400)) * 0.05).astype(np.float32),
        "flat": np.array([-1], np.int64),
        "nothing": np.zeros((), np.float32),
    }
    nodes = [
        onnx.node("Gather", ["table", "tokens"], ["embedded"]),
        onnx.node("MatMul", ["embedded", "wave"], ["mixed"]),
        onnx.node("Sin", ["mixed"], ["hum"]),
        onnx.node("Reshape", ["hum", "flat"], ["sound"]),
        onnx.node("Mul", ["sound", "speed"], ["loud"]),
        onnx.node("ReduceSum", ["style"], ["styled"], keepdims=0),
        onnx.node("Mul", ["styled", "nothing"], ["unused"]),
        onnx.node("Add", ["loud", "unused"], ["audio"]),
    ]
    inputs = [
        onnx.value("tokens", onnx.INT64, [1, "length"]),
        onnx.value("style", onnx.FLOAT, [1, wide]),
        onnx.value("speed", onnx.FLOAT, [1]),
    ]
    metadata = {
        "model_type": "kokoro",
        "sample_rate": "24000",
        "version": "1",
        "n_speakers": str(speakers),
        "style_dim": f"{longest},1,{wide}",
        "has_espeak": "1",
        "voice": "en-us",
    }
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(
        onnx.model(nodes, inputs, [onnx.value("audio", onnx.FLOAT, ["samples"])], weights, metadata)
    )
    chance.standard_normal(speakers * longest * wide).astype("<f4").tofile(folder / "voices.bin")
    (folder / "tokens.txt").write_text(_numbered(list(DEFAULT_PHONEME_ID_MAP)), "utf-8")
    return folder


_LETTERS = [*"abcdefghijklmnopqrstuvwxyz", "\u2581"]


def sherpa(folder: Path) -> Path:
    """A recogniser for sherpa-onnx of the kind of NeMo's CTC models: letters by the shape of the sound."""
    chance = np.random.default_rng(0)
    weights = {"weights": chance.standard_normal((80, len(_LETTERS) + 1)).astype(np.float32)}
    nodes = [
        onnx.node("Transpose", ["audio_signal"], ["frames"], perm=[0, 2, 1]),
        onnx.node("MatMul", ["frames", "weights"], ["raw"]),
        onnx.node("LogSoftmax", ["raw"], ["logprobs"], axis=2),
    ]
    inputs = [
        onnx.value("audio_signal", onnx.FLOAT, ["batch", 80, "time"]),
        onnx.value("length", onnx.INT64, ["batch"]),
    ]
    outputs = [onnx.value("logprobs", onnx.FLOAT, ["batch", "time", len(_LETTERS) + 1])]
    metadata = {
        "vocab_size": str(len(_LETTERS)),
        "subsampling_factor": "1",
        "normalize_type": "per_feature",
        "model_type": "EncDecCTCModelBPE",
        "version": "1",
    }
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(onnx.model(nodes, inputs, outputs, weights, metadata))
    (folder / "tokens.txt").write_text(_numbered([*_LETTERS, "<blk>"]), "utf-8")
    return folder


def sherpa_streaming(folder: Path) -> Path:
    """A recogniser for sherpa-onnx that hears while one speaks, a transducer: letters by the shape of the sound."""
    letters, wide, frames = ["<blk>", *_LETTERS], 16, 8
    chance = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[Any, Any]:
        return chance.standard_normal(shape).astype(np.float32)

    state = ["layers", "batch", wide]
    encoder = onnx.model(
        [
            onnx.node("MatMul", ["x", "weights"], ["encoder_out"]),
            onnx.node("Identity", ["h"], ["next_h"]),
            onnx.node("Identity", ["c"], ["next_c"]),
        ],
        [
            onnx.value("x", onnx.FLOAT, ["batch", frames, 80]),
            onnx.value("h", onnx.FLOAT, state),
            onnx.value("c", onnx.FLOAT, state),
        ],
        [
            onnx.value("encoder_out", onnx.FLOAT, ["batch", frames, wide]),
            onnx.value("next_h", onnx.FLOAT, state),
            onnx.value("next_c", onnx.FLOAT, state),
        ],
        {"weights": weights(80, wide)},
        {
            "model_type": "lstm",
            "num_encoder_layers": "1",
            "T": str(frames),
            "decode_chunk_len": str(frames),
            "rnn_hidden_size": str(wide),
            "d_model": str(wide),
        },
    )
    decoder = onnx.model(
        [
            onnx.node("Gather", ["table", "y"], ["last"]),
            onnx.node("ReduceSum", ["last", "axis"], ["decoder_out"], keepdims=0),
        ],
        [onnx.value("y", onnx.INT64, ["batch", 2])],
        [onnx.value("decoder_out", onnx.FLOAT, ["batch", wide])],
        {"table": weights(len(letters), wide), "axis": np.array([1], np.int64)},
        {"vocab_size": str(len(letters)), "context_size": "2"},
    )
    joiner = onnx.model(
        [
            onnx.node("Add", ["encoder_out", "decoder_out"], ["both"]),
            onnx.node("MatMul", ["both", "weights"], ["logit"]),
        ],
        [
            onnx.value("encoder_out", onnx.FLOAT, ["batch", wide]),
            onnx.value("decoder_out", onnx.FLOAT, ["batch", wide]),
        ],
        [onnx.value("logit", onnx.FLOAT, ["batch", len(letters)])],
        {"weights": weights(wide, len(letters))},
        {"joiner_dim": str(wide)},
    )
    folder.mkdir(parents=True)
    for name, content in {"encoder": encoder, "decoder": decoder, "joiner": joiner}.items():
        (folder / f"{name}.onnx").write_bytes(content)
    (folder / "tokens.txt").write_text(_numbered(letters), "utf-8")
    return folder


def sherpa_streaming_paraformer(folder: Path) -> Path:
    """A Paraformer for sherpa-onnx that hears while one speaks: steadily letters, by the shape of the sound."""
    letters, wide, sound = ["<blank>", *_LETTERS], 16, 560
    encoder = onnx.model(
        [
            onnx.node("MatMul", ["speech", "weights"], ["enc"]),
            onnx.node("Identity", ["speech_lengths"], ["enc_len"]),
            onnx.node("MatMul", ["speech", "loudness"], ["raw"]),
            onnx.node("Sigmoid", ["raw"], ["each"]),
            onnx.node("Squeeze", ["each", "axis"], ["alphas"]),
        ],
        [
            onnx.value("speech", onnx.FLOAT, ["batch", "time", sound]),
            onnx.value("speech_lengths", onnx.INT32, ["batch"]),
        ],
        [
            onnx.value("enc", onnx.FLOAT, ["batch", "time", wide]),
            onnx.value("enc_len", onnx.INT32, ["batch"]),
            onnx.value("alphas", onnx.FLOAT, ["batch", "time"]),
        ],
        {
            "weights": _weights(sound, wide),
            "loudness": np.zeros((sound, 1), np.float32),
            "axis": np.array([2], np.int64),
        },
        {
            "vocab_size": str(len(letters)),
            "lfr_window_size": "7",
            "lfr_window_shift": "6",
            "encoder_output_size": str(wide),
            "decoder_num_blocks": "1",
            "decoder_kernel_size": "3",
            "neg_mean": ",".join(["-8"] * sound),
            "inv_stddev": ",".join(["0.1"] * sound),
            "model_type": "paraformer",
        },
    )
    decoder = onnx.model(
        [
            onnx.node("MatMul", ["acoustic_embeds", "weights"], ["logits"]),
            onnx.node("ArgMax", ["logits"], ["sample_ids"], axis=2, keepdims=0),
            onnx.node("Identity", ["in_cache_0"], ["out_cache_0"]),
        ],
        [
            onnx.value("enc", onnx.FLOAT, ["batch", "time", wide]),
            onnx.value("enc_len", onnx.INT32, ["batch"]),
            onnx.value("acoustic_embeds", onnx.FLOAT, ["batch", "tokens", wide]),
            onnx.value("acoustic_embeds_len", onnx.INT32, ["batch"]),
            onnx.value("in_cache_0", onnx.FLOAT, ["batch", wide, 2]),
        ],
        [
            onnx.value("logits", onnx.FLOAT, ["batch", "tokens", len(letters)]),
            onnx.value("sample_ids", onnx.INT64, ["batch", "tokens"]),
            onnx.value("out_cache_0", onnx.FLOAT, ["batch", wide, 2]),
        ],
        {"weights": _weights(wide, len(letters))},
    )
    folder.mkdir(parents=True)
    (folder / "encoder.int8.onnx").write_bytes(encoder)
    (folder / "decoder.int8.onnx").write_bytes(decoder)
    (folder / "tokens.txt").write_text(_numbered(letters), "utf-8")
    return folder


def sherpa_streaming_ctc(folder: Path, family: str) -> Path:
    """A CTC model for sherpa-onnx that hears while one speaks, of `zipformer2`, `nemo` or `wenet`."""
    frames = 8
    state = ["a", "b", "c", "d"]
    if family == "zipformer2":
        states = [f"cached_{number}" for number in range(8)]
        kinds = [onnx.FLOAT] * 7 + [onnx.INT64]
        shapes: list[list[int | str]] = [["a", "b", "c"], state, ["a", "b", "c"], ["a", "b", "c"]]
        shapes += [["a", "b", "c"], ["a", "b", "c"], state, ["a"]]
        first = [onnx.value("x", onnx.FLOAT, ["batch", frames, 80])]
        before, after = [], []
        metadata = {"model_type": "zipformer2", "T": str(frames), "decode_chunk_len": str(frames)}
        metadata |= dict.fromkeys(("encoder_dims", "query_head_dims", "value_head_dims", "cnn_module_kernels"), "4")
        metadata |= {"num_heads": "1", "num_encoder_layers": "1", "left_context_len": "4"}
        name = "ctc-epoch-20-avg-1-chunk-16-left-128.onnx"
    elif family == "nemo":
        states = ["cache_last_channel", "cache_last_time", "cache_last_channel_len"]
        kinds, shapes = [onnx.FLOAT, onnx.FLOAT, onnx.INT64], [state, state, ["a"]]
        first = [
            onnx.value("audio_signal", onnx.FLOAT, ["batch", 80, "time"]),
            onnx.value("length", onnx.INT64, ["batch"]),
        ]
        before = [onnx.node("Transpose", ["audio_signal"], ["x"], perm=[0, 2, 1])]
        after = [onnx.node("Identity", ["length"], ["encoded_lengths"])]
        metadata = {"vocab_size": str(len(_LETTERS)), "window_size": str(frames), "chunk_shift": str(frames)}
        metadata |= {"subsampling_factor": "1", "model_type": "EncDecHybridRNNTCTCBPEModel", "normalize_type": ""}
        metadata |= {f"cache_last_{part}_dim{number}": "2" for part in ("channel", "time") for number in (1, 2, 3)}
        name = "model.onnx"
    else:
        states = ["attn_cache", "conv_cache"]
        kinds, shapes = [onnx.FLOAT, onnx.FLOAT], [state, state]
        first = [
            onnx.value("x", onnx.FLOAT, ["batch", "time", 80]),
            onnx.value("offset", onnx.INT64, [1]),
            onnx.value("required_cache_size", onnx.INT64, [1]),
        ]
        before, after = [], []
        metadata = {"model_type": "wenet_ctc", "chunk_size": "4", "left_chunks": "2", "head": "1", "num_blocks": "1"}
        metadata |= {"output_size": "4", "cnn_module_kernel": "3", "right_context": "1", "subsampling_factor": "2"}
        metadata["vocab_size"] = str(len(_LETTERS) + 1)
        name = "model-streaming.onnx"
    inputs = first + [onnx.value(*each) for each in zip(states, kinds, shapes, strict=True)]
    inputs += [onnx.value("attn_mask", onnx.BOOL, ["batch", 1, "time"])] if family == "wenet" else []
    nodes = [
        *before,
        onnx.node("MatMul", ["x", "weights"], ["raw"]),
        onnx.node("LogSoftmax", ["raw"], ["log_probs"], axis=2),
        *after,
        *(onnx.node("Identity", [each], [f"next_{each}"]) for each in states),
    ]
    outputs = [onnx.value("log_probs", onnx.FLOAT, ["batch", "out", len(_LETTERS) + 1])]
    outputs += [onnx.value("encoded_lengths", onnx.INT64, ["batch"])] if family == "nemo" else []
    outputs += [
        onnx.value(f"next_{each}", kind, shape) for each, kind, shape in zip(states, kinds, shapes, strict=True)
    ]
    folder.mkdir(parents=True)
    weights = {"weights": _weights(80, len(_LETTERS) + 1)}
    (folder / name).write_bytes(onnx.model(nodes, inputs, outputs, weights, metadata))
    (folder / "tokens.txt").write_text(_numbered([*_LETTERS, "<blk>"]), "utf-8")
    return folder


def _weights(*shape: int) -> np.ndarray[Any, Any]:
    """What the shape of a sound weighs, and not how loud it is."""
    weights = np.random.default_rng(0).standard_normal(shape)
    return (weights - weights.mean(axis=0)).astype(np.float32)


def _numbered(letters: Sequence[str]) -> str:
    """The file of a model's tokens."""
    return "".join(f"{letter} {number}\n" for number, letter in enumerate(letters))
