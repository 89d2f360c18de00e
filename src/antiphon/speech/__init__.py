"""Listening and speaking: the engines behind the ports of `domain.speech`, and what they have in common.

One file per engine in `stt/` and `tts/`; `engines.open_speech` makes the chains that the settings name. Nothing heavy
is imported before the first use.
"""
