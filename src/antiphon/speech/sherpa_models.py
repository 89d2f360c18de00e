"""Which recogniser of sherpa-onnx a folder with a model is for: its files tell, and what they say about themselves.

The library has a way to open each family, and ends the process when a model lacks an entry that its family must have:
so a model that is of no family known here is refused before it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.domain.errors import SpeechError
from antiphon.speech.onnx_metadata import onnx_metadata


@dataclass(frozen=True, slots=True)
class SherpaModel:
    """How a model is opened."""

    factory: str
    """The method of the library: of `OnlineRecognizer` when the model hears while one speaks, else of the other one."""
    files: Mapping[str, str]
    """Its files, by the names that the method has for them."""
    streaming: bool = False
    frames: int = 0
    """Frames of 10 ms that a streaming model takes at once: as many of silence bring out its last word."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else the method is told."""


@dataclass(frozen=True, slots=True)
class _Family:
    """Models of one file. Those that have all of `entries` belong to it."""

    factory: str
    entries: frozenset[str]
    streaming: bool = False
    kinds: frozenset[str] = frozenset()
    """What `model_type` may say. Empty: anything."""
    argument: str = "model"
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


_NEMO = frozenset({"EncDecCTCModelBPE", "EncDecCTCModel", "EncDecHybridRNNTCTCBPEModel"})
_PARAFORMER_FRAMES = 79
"""The library hands it 61 at a time, of which the last 18 are only looked at."""
_STREAMING_TRANSDUCERS = ({"decode_chunk_len", "T"}, {"window_size", "chunk_shift"})
_FAMILIES = (
    _Family("from_zipformer2_ctc", frozenset({"decode_chunk_len", "T"}), streaming=True),
    _Family("from_nemo_ctc", frozenset({"window_size", "chunk_shift"}), streaming=True),
    _Family("from_wenet_ctc", frozenset({"right_context", "cnn_module_kernel"}), streaming=True),
    _Family("from_t_one_ctc", frozenset({"frame_length_ms", "state_dim"}), streaming=True),
    _Family("from_sense_voice", frozenset({"lfr_window_size", "normalize_samples"}), more={"use_itn": True}),
    _Family("from_paraformer", frozenset({"lfr_window_size", "neg_mean"}), argument="paraformer"),
    _Family("from_nemo_ctc", frozenset({"vocab_size", "subsampling_factor"}), kinds=_NEMO),
    _Family("from_zipformer_ctc", frozenset(), kinds=frozenset({"zipformer2_ctc"})),
    _Family("from_wenet_ctc", frozenset({"vocab_size", "subsampling_factor"}), kinds=frozenset({"wenet_ctc"})),
    _Family("from_telespeech_ctc", frozenset({"vocab_size"}), kinds=frozenset({"telespeech_ctc"})),
)
"""Models of one file, those that hear while one speaks first."""


def sherpa_model(folder: Path) -> SherpaModel:
    """How the model in a folder is opened. Raises `SpeechError` where it is of no kind that is known here."""
    encoder, decoder, joiner = (_file(folder, part) for part in ("encoder", "decoder", "joiner"))
    if encoder and decoder:
        about = onnx_metadata(encoder)
        files = {"encoder": str(encoder), "decoder": str(decoder)}
        if joiner:
            streaming = any(entries <= about.keys() for entries in _STREAMING_TRANSDUCERS)
            if streaming or "model_type" in about:
                files["joiner"] = str(joiner)
                return SherpaModel("from_transducer", files, streaming, _frames(about) if streaming else 0)
        elif {"lfr_window_size", "decoder_kernel_size"} <= about.keys():
            return SherpaModel("from_paraformer", files, True, _PARAFORMER_FRAMES)
        elif "n_text_layer" in about:
            return SherpaModel("from_whisper", files, more={"language": ""})
        raise _unknown(folder, about)
    model = _file(folder, "model") or _file(folder, "")
    if model is None:
        raise SpeechError(f"The folder of the model {folder.name} holds no model that sherpa_onnx knows.")
    about = onnx_metadata(model)
    for family in _FAMILIES:
        if family.entries <= about.keys() and (not family.kinds or about.get("model_type") in family.kinds):
            frames, more = _frames(about) if family.streaming else 0, family.more
            if family.factory == "from_wenet_ctc" and family.streaming:
                chunk = int(about.get("chunk_size", 16))
                more = {"chunk_size": chunk, "num_left_chunks": int(about.get("left_chunks", 4))}
                frames = chunk * int(about.get("subsampling_factor", 4)) + int(about["right_context"])
            return SherpaModel(family.factory, {family.argument: str(model)}, family.streaming, frames, more)
    raise _unknown(folder, about)


def _frames(about: Mapping[str, str]) -> int:
    return int(about.get("T") or about.get("window_size") or 0)


def sherpa_tokens(folder: Path) -> str:
    """The file of a model's tokens, or ""."""
    return str(_file(folder, "tokens", ".txt") or "")


def _unknown(folder: Path, about: Mapping[str, str]) -> SpeechError:
    kind = about.get("model_type", "")[:40] or "none is named"
    return SpeechError(f"The model {folder.name} is of a kind ({kind}) that is not known here.")


def _file(folder: Path, part: str, ending: str = ".onnx") -> Path | None:
    """The file of a part, the smaller (quantised) one where there are two."""
    pattern = f"*{part}*{ending}" if part else f"*{ending}"
    found = sorted(folder.glob(pattern), key=lambda path: ("int8" not in path.name, len(path.name)))
    if "streaming" in folder.name and part == "model":
        found.sort(key=lambda path: "streaming" not in path.name)
    return found[0] if found else None
