"""Which recogniser of sherpa-onnx opens a model: by its files and what stands in them, never by a name alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE
from antiphon.speech.engine import Surroundings
from antiphon.speech.onnx_metadata import onnx_metadata
from antiphon.speech.sherpa_models import sherpa_model
from antiphon.speech.stt import sherpa_onnx
from tests.fakes import onnx_bytes, tiny_speech

STREAMING = {"T": "45", "decode_chunk_len": "32"}
NEMO = {"vocab_size": "1", "subsampling_factor": "8", "window_size": "121", "chunk_shift": "112"}
LFR = {"lfr_window_size": "7", "neg_mean": "0", "vocab_size": "1"}
PARAFORMER = {**LFR, "decoder_kernel_size": "11", "encoder_output_size": "512"}
WENET = {"model_type": "wenet_ctc", "vocab_size": "1", "subsampling_factor": "4"}
TRANSDUCER = ("encoder.onnx", "decoder.onnx", "joiner.onnx")
PAIR = ("tiny.en-encoder.int8.onnx", "tiny.en-decoder.int8.onnx")


def folder(path: Path, *files: str, **about: str) -> Path:
    """A model whose every file says the same about itself."""
    path.mkdir()
    for name in files:
        (path / name).write_bytes(onnx_bytes.model([], [], [], {"weights": np.zeros(5000, np.float32)}, about))
    (path / "tokens.txt").write_text("a 0\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("files", "about", "factory", "streaming", "frames"),
    [
        (TRANSDUCER, {"model_type": "zipformer2", **STREAMING}, "from_transducer", True, 45),
        (TRANSDUCER, {"model_type": "zipformer2"}, "from_transducer", False, 0),
        (TRANSDUCER, {"model_type": "EncDecRNNTBPEModel", **NEMO}, "from_transducer", True, 121),
        (("encoder.onnx", "decoder.onnx"), PARAFORMER, "from_paraformer", True, 79),
        (PAIR, {"model_type": "whisper-tiny.en", "n_text_layer": "4"}, "from_whisper", False, 0),
        (("ctc-epoch-20.onnx",), {"model_type": "zipformer2", **STREAMING}, "from_zipformer2_ctc", True, 45),
        (("model.onnx",), {"model_type": "zipformer2_ctc"}, "from_zipformer_ctc", False, 0),
        (("model.onnx",), {"model_type": "EncDecHybridRNNTCTCBPEModel", **NEMO}, "from_nemo_ctc", True, 121),
        (("model.onnx",), {**WENET, "model_type": "EncDecCTCModel"}, "from_nemo_ctc", False, 0),
        (
            ("model-streaming.onnx",),
            {**WENET, "right_context": "6", "cnn_module_kernel": "15"},
            "from_wenet_ctc",
            True,
            70,
        ),
        (("model.onnx",), WENET, "from_wenet_ctc", False, 0),
        (("model.onnx",), {"frame_length_ms": "300", "state_dim": "9"}, "from_t_one_ctc", True, 0),
        (("model.onnx",), {**LFR, "normalize_samples": "0"}, "from_sense_voice", False, 0),
        (("model.onnx",), {**LFR, "model_type": "paraformer"}, "from_paraformer", False, 0),
        (("model.onnx",), {"model_type": "telespeech_ctc", "vocab_size": "1"}, "from_telespeech_ctc", False, 0),
    ],
)
def test_files_and_their_entries_tell_the_recogniser(
    files: tuple[str, ...], about: Mapping[str, str], factory: str, streaming: bool, frames: int, tmp_path: Path
) -> None:
    found = sherpa_model(folder(tmp_path / "no-hint-in-the-name", *files, **about))
    assert (found.factory, found.streaming, found.frames) == (factory, streaming, frames)
    assert {Path(file).name for file in found.files.values()} == set(files)


def test_of_a_model_in_two_sizes_the_smaller_is_taken_and_the_streaming_one_where_the_name_says_so(
    tmp_path: Path,
) -> None:
    both = ("model.onnx", "model.int8.onnx", "model-streaming.onnx", "model-streaming.int8.onnx")
    for name, file in (("zh-wenet", "model.int8.onnx"), ("zh-streaming-wenet", "model-streaming.int8.onnx")):
        found = sherpa_model(folder(tmp_path / name, *both, **WENET))
        assert [Path(path).name for path in found.files.values()] == [file]


@pytest.mark.parametrize("files", [("model.onnx",), ("encoder.onnx", "decoder.onnx"), TRANSDUCER])
async def test_a_model_of_an_unknown_kind_is_refused_in_words_and_the_process_lives(
    files: tuple[str, ...], tmp_path: Path
) -> None:
    """The library itself would end the process for a model that lacks an entry."""
    path = tmp_path / "sherpa_onnx" / "odd-streaming"
    path.parent.mkdir()
    folder(path, *files, **({} if files == TRANSDUCER else {"model_type": "perceptron"}))
    engine = sherpa_onnx.ENGINE.make(sherpa_onnx.Config(model=path.name), Surroundings(models=tmp_path))
    with pytest.raises(SpeechError, match=r"The model odd-streaming is of a kind .* that is not known here"):
        await engine.load()


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x72\xff\x01", b"\xff" * 40, b"\x72\x02\x0a"])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(SpeechError, match=r"is no ONNX model|is of a kind"):
        sherpa_model(tmp_path)


def test_the_entries_of_a_file_are_read_past_its_weights(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", "model.onnx", model_type="ctc", empty="", umlaut="ü")
    assert onnx_metadata(path / "model.onnx") == {"model_type": "ctc", "empty": "", "umlaut": "ü"}


async def test_whether_a_model_hears_while_one_speaks_is_known_once_it_is_loaded(tmp_path: Path) -> None:
    """Whatever it is called; and one that does not is heard all the same by who asked before."""
    tiny_speech.sherpa_streaming_ctc(tmp_path / "sherpa_onnx" / "tiny", "nemo")
    tiny_speech.sherpa(tmp_path / "sherpa_onnx" / "tiny-streaming")
    for name, streaming in (("tiny", True), ("tiny-streaming", False)):
        engine = sherpa_onnx.ENGINE.make(sherpa_onnx.Config(model=name), Surroundings(models=tmp_path))
        stream = engine.stream()
        noise = (np.random.default_rng(0).standard_normal(LISTENING_RATE) * 3000).astype("<i2").tobytes()
        stream.push(noise)
        stream.end_utterance()
        final = ""
        async for transcript in stream:
            if transcript.final:
                final = transcript.text
                break
        assert final
        assert engine.interim is streaming
        await stream.aclose()


@pytest.mark.parametrize(
    ("model", "languages"),
    [
        ("sherpa-onnx-streaming-zipformer-en-20M-2023-02-17", {"en"}),
        ("sherpa-onnx-streaming-paraformer-bilingual-zh-en", set[str]()),
        ("sherpa-onnx-streaming-paraformer-trilingual-zh-cantonese-en", set[str]()),
        ("sherpa-onnx-zh-wenet-wenetspeech", set[str]()),
    ],
)
def test_a_name_of_several_languages_is_no_reason_to_refuse_one(model: str, languages: set[str]) -> None:
    assert sherpa_onnx.ENGINE.languages(sherpa_onnx.Config(model=model)) == languages
