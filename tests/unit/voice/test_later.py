"""A library that is imported without a part of it gets that part once it uses it. In processes of their own."""

from __future__ import annotations

import subprocess
import sys

BEFORE = """
import sys
from antiphon.voice.later import imported_later
with imported_later("av", "av.container"):
    from livekit.agents.utils.codecs import decoder
    from livekit.agents.voice.recorder_io import recorder_io
loaded = lambda: {name for name in sys.modules if name.partition(".")[0] == "av"}
assert not loaded(), loaded()
"""


def passes(code: str) -> None:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr


def test_it_is_loaded_with_the_first_use_and_is_then_the_same_for_everybody() -> None:
    use = "assert decoder.av.container.InputContainer; import av; assert decoder.av.open is av.open"
    passes(f"{BEFORE}{use}\nassert recorder_io.av.open is av.open; assert 'av._core' in loaded()")


def test_the_librarys_own_use_of_it_works() -> None:
    """LiveKit's decoder, which opens and reads a file with it."""
    passes(f"""{BEFORE}
import asyncio
from antiphon.speech.codec import wav
async def decode():
    reader = decoder.AudioStreamDecoder(sample_rate=16_000, num_channels=1, format="audio/wav")
    reader.push(wav(b"\\1\\0" * 16_000, 24_000))
    reader.end_input()
    return sum([frame.samples_per_channel async for frame in reader])
assert abs(asyncio.run(decode()) - 16_000 * 16 / 24) < 200
import av.audio.resampler
""")


def test_what_others_import_meanwhile_is_the_real_one_once_they_use_it() -> None:
    passes("""
import sys
from antiphon.voice.later import imported_later
with imported_later("av", "av.container"):
    import av.audio.resampler
    assert av.AudioFrame
import av as again
assert again.AudioFrame is av.AudioFrame and "av._core" in sys.modules
""")


def test_what_is_loaded_already_stays() -> None:
    passes("""
import av
from antiphon.voice.later import imported_later
with imported_later("av"):
    import av as same
assert same is av
""")
