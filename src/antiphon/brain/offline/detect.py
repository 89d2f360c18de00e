"""Which language a message is in. A few words must do: the small words of each language, the words people use with an
agent, letters only one of them has. Used by `understand`; no model, some microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from antiphon.brain.offline.function_words import FUNCTION_WORDS

_COMMON: Mapping[str, str] = {
    "en": """remind reminder reminders timer set time date today tomorrow yesterday flip coin roll dice hello hi hey
        thank thanks bye goodbye morning night help status cancel delete remember forget poll vote
        convert hours minutes summarize summary joke name call live summarise week day days write poem
        translate tell show give make find play send another explain book order weather buy want need
        know think work good great list next last list home please story word people meeting start stop
        open close turn light music one two three four five""",
    "de": """erinnere erinner erinnerung erinnerungen timer stell uhr uhrzeit datum heute morgen übermorgen gestern
        münze wirf würfel würfeln würfle hallo moin servus tschüss danke dankeschön guten gute nacht
        hilfe status lösche vergiss merk merke umfrage abstimmung stimme rechne stunde stunden minute
        minuten sekunden tage woche fass zusammenfassung witz heiße wohne lebe sprich wecker wecken kopf
        zahl spät geht geht's dank vielen tausend grüß tschau ade wiedersehen servus tldr mach's läuft
        zeig zeige sag kannst mir's jahr prozent mal geteilt wieviel wieviele hoch wurzel gib brich
        stopp alles welcher tag weihnachten silvester antworte rede deutsch englisch bescheid weißt
        umrechnen zeitunterschied zeitverschiebung beende schließ starte mach schreib gedicht übersetze
        spiel schick erklär wetter kaufen gut wissen glaube arbeit leute liste nächste letzte bitte
        geschichte wort treffen licht musik eins zwei drei vier fünf gib finde such bestell seit
        vorgestern verschieb ändere""",
    "es": """recuérdame recuerdame avísame avisame recordatorio recordatorios temporizador pon ponme hora horas fecha
        hoy mañana ayer moneda lanza tira dado dados hola buenas buenos días tardes noches adiós gracias
        ayuda estado borra cancela olvida olvídate recuerda apunta anota encuesta votación voto
        convierte minutos segundos semana semanas resume resumen chiste llamo vivo háblame habla
        despiértame cara cruz cuánto cuanto cuántos qué dime muéstrame muestra calcula divide suma por
        ciento raíz navidad elimina quita detén responde español inglés alarma sabes chao chau adios
        gracias puedes eres estás días año son diferencia horaria cierra termina haz escribe escríbeme
        poema traduce busca manda explica clima tiempo comprar bueno saber creo trabajo gente lista
        próximo último favor historia palabra reunión luz música uno dos tres cuatro cinco dame desde
        cambia mueve""",
}
_LETTERS: Mapping[str, str] = {"de": "äöüß", "es": "ñ¿¡áéíóú"}
_SHAPES: Mapping[str, re.Pattern[str]] = {
    "en": re.compile(r"(?:ing|tion|ght|th\w|wh\w+|'s|'m|'re|n't|ould)\b|\bth"),
    "de": re.compile(r"(?:ung|lich|isch|keit|heit|schen|chen|tzt|st)\b|sch|\bge\w+t\b|\wei\w|\wie\b|ck"),
    "es": re.compile(r"(?:ción|cion|ado|ada|ando|iendo|mente|dor|ame|dad|illo|ar|er|ir)\b|qu[ei]|\w[oa]s\b|ll|rr"),
}
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_PREFERRED, _BEFORE, _DEFAULT = 0.5, 0.4, 0.2
DEFAULT = "en"


def languages(text: str, *, preferred: str = DEFAULT, earlier: Sequence[str] = ()) -> list[str]:
    """The languages the text may be in, likeliest first; those without any sign of them are left out, but never the
    person's own.

    `preferred` is the person's stored language and decides between equals, after it the language of their last
    message with a clear one (`earlier`, latest last). With no sign at all the answer is one of these two.
    """
    scores = _scores(text)
    signs = {code for code, score in scores.items() if score > 0}
    preferred = preferred[:2].casefold()
    if preferred in scores:
        # English is what nobody chose: a conversation in another language counts for more than that.
        scores[preferred] += _DEFAULT if preferred == DEFAULT else _PREFERRED
    for said in reversed(earlier[-3:]):
        told = _scores(said)
        best = max(told, key=lambda code: told[code])
        if told[best] >= 1:
            scores[best] += _BEFORE
            break
    order = sorted(scores, key=lambda code: -scores[code])
    found = [order[0], *(code for code in order[1:] if code in signs)]
    # Their own language is always worth a second try: a word or two can look like anything.
    own = preferred if preferred in scores else DEFAULT
    return found if own in found[:2] else [found[0], own, *(code for code in found[1:] if code != own)]


def _scores(text: str) -> dict[str, float]:
    low = text.casefold().replace("\u2019", "'")
    words = _WORD.findall(low)[:60]
    weights = _weights()
    scores = dict.fromkeys(FUNCTION_WORDS, 0.0)
    for word in words:
        for code, weight in weights.get(word, ()):
            scores[code] += weight
        if word not in weights:
            for code, shape in _SHAPES.items():
                if shape.search(word):
                    scores[code] += 0.25
    scores["de"] += 1.0 if re.search(r"\b\d?w\d+\b", low) else 0.0  # 2w6: two dice
    for code, letters in _LETTERS.items():
        scores[code] += 1.0 if any(letter in low for letter in letters) else 0.0
    return scores


@cache
def _weights() -> Mapping[str, Sequence[tuple[str, float]]]:
    """Word -> languages that have it; the more have it, the less it says."""
    found: dict[str, list[str]] = {}
    for code, small in FUNCTION_WORDS.items():
        for word in small | set(_COMMON[code].split()):
            found.setdefault(word, []).append(code)
    return {word: [(code, 1.0 / len(codes) ** 2) for code in codes] for word, codes in found.items()}
