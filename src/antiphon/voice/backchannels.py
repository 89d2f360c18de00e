"""Little words with much weight: sounds that only say "I am listening", and the yes or no to a question of ours."""

from __future__ import annotations

import re

_WORDS = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

_LISTENING: dict[str, frozenset[str]] = {
    "en": frozenset(
        ["mhm", "mm", "mmm", "hm", "hmm", "uh-huh", "uhhuh", "uh", "huh", "aha", "ah", "oh", "yeah", "yep", "yup", "yes", "right", "okay", "ok", "sure", "i", "see", "got", "it", "good", "great", "nice", "cool", "exactly", "true", "indeed", "wow", "really"]
    ),
    "de": frozenset(
        ["mhm", "mm", "hm", "hmm", "aha", "ah", "oh", "ja", "jaja", "jo", "genau", "klar", "stimmt", "richtig", "okay", "ok", "gut", "schön", "super", "ach", "so", "verstehe"]
    ),
    "es": frozenset(["mhm", "mm", "hm", "ajá", "aja", "ah", "oh", "sí", "si", "claro", "vale", "ya", "bien", "bueno", "exacto", "okay", "ok", "entiendo", "cierto"]),
    "fr": frozenset(["mhm", "mm", "hm", "ah", "oh", "oui", "ouais", "d'accord", "bien", "sûr", "ok", "okay", "exact", "voilà", "je", "vois"]),
}
_SOUNDS = frozenset(["mhm", "mm", "mmm", "hm", "hmm", "uh-huh", "uhhuh", "uh", "huh", "aha", "ajá", "ah", "oh", "um", "umm", "er", "erm", "äh", "ähm"])
_MOST_WORDS = 3

_YES: dict[str, frozenset[str]] = {
    "en": frozenset(["yes", "yeah", "yep", "yup", "sure", "okay", "ok", "approve", "approved", "confirm", "confirmed", "agreed", "please", "do"]),
    "de": frozenset(["ja", "jawohl", "gerne", "klar", "okay", "ok", "einverstanden", "mach", "genehmigt", "bestätigt", "bitte"]),
    "es": frozenset(["sí", "si", "claro", "vale", "okay", "ok", "adelante", "apruebo", "aprobado", "hazlo", "confirmo"]),
    "fr": frozenset(["oui", "ouais", "d'accord", "okay", "ok", "vas-y", "confirme"]),
}
_NO: dict[str, frozenset[str]] = {
    "en": frozenset(["no", "nope", "nah", "don't", "dont", "not", "never", "deny", "denied", "refuse", "cancel", "stop"]),
    "de": frozenset(["nein", "nicht", "nee", "stopp", "abbrechen", "ablehnen", "abgelehnt", "lass"]),
    "es": frozenset(["no", "nunca", "cancela", "cancelar", "para", "rechazo"]),
    "fr": frozenset(["non", "pas", "jamais", "annule", "arrête", "refuse"]),
}
_MOST_WORDS_OF_AN_ANSWER = 6


def is_backchannel(text: str, language: str = "en") -> bool:
    """Whether somebody who said this while the agent spoke only meant that they listen."""
    words = _words(text)
    if not words or len(words) > _MOST_WORDS:
        return False
    if all(word in _SOUNDS for word in words):
        return True
    known = _LISTENING.get(_primary(language), _LISTENING["en"])
    return all(word in known for word in words)


def yes_or_no(text: str, language: str = "en") -> bool | None:
    """What somebody answered to a question; None when it is neither, or both. A doubt is never a yes."""
    words = _words(text)
    if not words or len(words) > _MOST_WORDS_OF_AN_ANSWER:
        return None
    primary = _primary(language)
    yes = _YES["en"] | _YES.get(primary, frozenset())
    no = _NO["en"] | _NO.get(primary, frozenset())
    if any(word in no for word in words):
        return None if words[0] in yes else False
    return True if words[0] in yes else None


def _words(text: str) -> list[str]:
    return [word.replace("’", "'") for word in _WORDS.findall(text.lower())]


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower() or "en"
