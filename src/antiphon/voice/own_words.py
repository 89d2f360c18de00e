"""What a spoken session says of its own, in the language of the session. Used by `turns` alone."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.speech.engine import primary


@dataclass(frozen=True, slots=True)
class OwnWords:
    """Sentences in one language. `question` has a place for `what`."""

    sorry: str
    question: str
    approved: str
    denied: str
    not_yours: str
    too_late: str


_WORDS = {
    "en": OwnWords(
        sorry="I could not answer that just now. Please try again.",
        question="I need your word first: {what}. Shall I do it? Say yes or no.",
        approved="Thank you. I go on.",
        denied="All right, I leave it.",
        not_yours="That is not yours to answer. It waits for somebody who may.",
        too_late="That was answered already, or it is too late for it.",
    ),
    "de": OwnWords(
        sorry="Das konnte ich gerade nicht beantworten. Bitte versuche es noch einmal.",
        question="Dafür brauche ich dein Wort: {what}. Soll ich es tun? Sag ja oder nein.",
        approved="Danke. Ich mache weiter.",
        denied="Gut, ich lasse es.",
        not_yours="Darüber kannst du nicht entscheiden. Es wartet auf jemanden, der das darf.",
        too_late="Das ist schon beantwortet, oder es ist zu spät dafür.",
    ),
    "es": OwnWords(
        sorry="Ahora mismo no he podido responder. Inténtalo otra vez, por favor.",
        question="Antes necesito tu palabra: {what}. ¿Lo hago? Di sí o no.",
        approved="Gracias. Sigo adelante.",
        denied="De acuerdo, lo dejo.",
        not_yours="Eso no lo puedes decidir tú. Queda a la espera de quien pueda.",
        too_late="Eso ya tiene respuesta, o es demasiado tarde.",
    ),
    "fr": OwnWords(
        sorry="Je n'ai pas pu répondre à l'instant. Essayez encore une fois, s'il vous plaît.",
        question="Il me faut d'abord votre accord : {what}. Je le fais ? Dites oui ou non.",
        approved="Merci. Je continue.",
        denied="D'accord, je laisse.",
        not_yours="Ce n'est pas à vous d'en décider. Cela attend quelqu'un qui le peut.",
        too_late="C'est déjà répondu, ou il est trop tard.",
    ),
    "it": OwnWords(
        sorry="Adesso non sono riuscito a rispondere. Riprova, per favore.",
        question="Prima mi serve la tua parola: {what}. Lo faccio? Di' sì o no.",
        approved="Grazie. Vado avanti.",
        denied="Va bene, lascio stare.",
        not_yours="Non puoi deciderlo tu. Aspetta qualcuno che può.",
        too_late="A questo è già stata data risposta, o è troppo tardi.",
    ),
}


def own_words(language: str) -> OwnWords:
    """Those of a language; English where there are none."""
    return _WORDS.get(primary(language), _WORDS["en"])
