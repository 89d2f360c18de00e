"""Languages beside English: how times, numbers, sums, measures and places are said there, put into English words.

The tools read English, exactly and strictly; a phrase that is not understood to its last word is refused here too.
`language` is what a language must bring, `german` and `spanish` bring it. Loaded with the first message that needs it.
"""

from __future__ import annotations

from antiphon.brain.offline.languages.language import Language

CODES = ("en", "de", "es")
"""What the offline model speaks, by ISO 639-1."""


def load(code: str) -> Language:
    """The parsers of a language other than English. Raises `KeyError` for one there is not."""
    if code == "de":
        from antiphon.brain.offline.languages.german import German

        return German()
    if code == "es":
        from antiphon.brain.offline.languages.spanish import Spanish

        return Spanish()
    raise KeyError(code)
