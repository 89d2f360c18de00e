"""Little words with much weight: sounds that only say "I am listening", and the yes or no to a question of ours."""

from __future__ import annotations

import re

from antiphon.speech.engine import primary

_WORDS = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_MOST_WORDS = 3


def _set(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


def _phrases(*lines: str) -> frozenset[str]:
    return frozenset(phrase.strip() for line in lines for phrase in line.split(","))


_SOUNDS = _set("mhm mm mmm hm hmm uh-huh uhhuh uh huh aha ajá ah oh um umm er erm äh ähm")
_LISTENING = {
    "en": _set(
        "yeah yep yup yes right okay ok sure i see got it good great nice cool exactly true indeed wow really",
    ),
    "de": _set("ja jaja jo genau klar stimmt richtig okay ok gut schön super ach so verstehe"),
    "es": _set("sí si claro vale ya bien bueno exacto okay ok entiendo cierto"),
    "fr": _set("oui ouais d'accord bien sûr ok okay exact voilà je vois"),
    "it": _set("sì si certo giusto esatto ok okay bene capisco vero d'accordo già"),
}
_YES = {
    "en": _phrases(
        "yes, yeah, yep, yup, sure, okay, ok, approve, approved, confirm, confirmed, agreed, do, do it, do that, do so",
        "go ahead, go on, of course, absolutely, definitely, i do, i approve, i confirm, i agree, i'm sure",
    ),
    "de": _phrases(
        "ja, jawohl, gerne, klar, okay, ok, einverstanden, genehmigt, bestätigt, mach, mach es, mach das, mach's",
        "tu es, tu das, na klar, auf jeden fall, natürlich, ich bestätige, ich bin einverstanden",
    ),
    "es": _phrases(
        "sí, si, claro, vale, okay, ok, adelante, apruebo, aprobado, hazlo, confirmo, por supuesto, claro que sí",
        "de acuerdo, lo apruebo, lo confirmo, estoy de acuerdo",
    ),
    "fr": _phrases(
        "oui, ouais, d'accord, okay, ok, vas-y, allez-y, confirme, je confirme, bien sûr, fais-le, faites-le",
        "je suis d'accord, j'accepte",
    ),
    "it": _phrases("sì, si, certo, va bene, d'accordo, okay, ok, procedi, confermo, fallo, certamente, sono d'accordo"),
}
"""What agrees. An answer that holds anything else beside it is a condition, a question or another matter."""
_NO = {
    "en": _set("no nope nah don't dont not never deny denied refuse cancel stop"),
    "de": _set("nein nicht nee stopp abbrechen ablehnen abgelehnt lass"),
    "es": _set("no nunca cancela cancelar para rechazo"),
    "fr": _set("non pas jamais annule arrête refuse"),
    "it": _set("no non mai annulla ferma rifiuto basta"),
}
_POLITE = _set("please bitte thanks thank you danke gracias merci grazie por per favor favore s'il te vous plaît")
_FILLERS = _set("oh ah uh um umm er erm äh ähm euh eh")
_MOST_WORDS_OF_AN_ANSWER = 6


def is_backchannel(text: str, language: str = "en") -> bool:
    """Whether somebody who said this while the agent spoke only meant that they listen."""
    words = _words(text)
    if not words or len(words) > _MOST_WORDS:
        return False
    known = _SOUNDS | _LISTENING.get(primary(language), _LISTENING["en"])
    return all(word in known for word in words)


def yes_or_no(text: str, language: str = "en") -> bool | None:
    """What somebody answered to a question; None when it is neither, or both. A doubt is never a yes."""
    words = [word for word in _words(text) if word not in _POLITE | _FILLERS]
    if not words or len(words) > _MOST_WORDS_OF_AN_ANSWER:
        return None
    spoken = primary(language)
    yes = _YES["en"] | _YES.get(spoken, _YES["en"])
    no = _NO["en"] | _NO.get(spoken, _NO["en"])
    if any(word in no for word in words):
        return None if words[0] in yes else False
    return True if _made_of(words, yes) else None


def _made_of(words: list[str], phrases: frozenset[str]) -> bool:
    """Whether the words are phrases of these, one after the other, and nothing else."""
    return not words or any(
        " ".join(words[:count]) in phrases and _made_of(words[count:], phrases) for count in range(1, len(words) + 1)
    )


def _words(text: str) -> list[str]:
    return [word.replace("\u2019", "'") for word in _WORDS.findall(text.lower())]
