"""What is said in an answer about its own fate, in the person's language. Used by `failover`."""

from __future__ import annotations

_BROKE_OFF = {
    "en": "*(My language model broke off here: {reason}. Say “go on” and I will try to continue.)*",
    "de": "*(Hier ist mein Sprachmodell abgebrochen. Sage „weiter“, dann versuche ich fortzufahren.)*",
    "es": "*(Mi modelo de lenguaje se ha interrumpido aquí. Di «sigue» e intentaré continuar.)*",
}
_CUT_SHORT = {
    "en": "*(I stopped here: this is longer than one answer may be. Say “go on” for more.)*",
    "de": "*(Ich habe hier aufgehört: Das ist länger, als eine Antwort sein darf. Sage „weiter“ für mehr.)*",
    "es": "*(He parado aquí: esto es más largo de lo que puede ser una respuesta. Di «sigue» para más.)*",
}


def broke_off(language: str, reason: str) -> str:
    """The end of an answer that nobody could finish. `reason` is English, and left out elsewhere."""
    return _in(_BROKE_OFF, language).format(reason=reason)


def cut_short(language: str) -> str:
    """The end of an answer that did not stop."""
    return _in(_CUT_SHORT, language)


def _in(words: dict[str, str], language: str) -> str:
    return words.get(language.partition("-")[0].lower(), words["en"])
