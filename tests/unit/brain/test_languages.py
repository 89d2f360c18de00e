"""German and Spanish: what is understood, which language a message is in, and how it is answered."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from antiphon.brain.offline import languages
from antiphon.brain.offline.detect import languages as languages_of
from antiphon.brain.offline.grammar import load
from antiphon.brain.offline.understand import Understanding
from antiphon.domain.tools import ExecutionStatus
from antiphon.domain.turns import Paused
from tests.fakes.agent import ADA, Workbench

UNDERSTANDING = Understanding()
GERMAN, SPANISH = languages.load("de"), languages.load("es")


@pytest.fixture
def bench() -> Workbench:
    return Workbench()


@pytest.mark.parametrize(
    ("phrase", "english"),
    [
        ("halb neun", "at 8:30"),
        ("viertel vor drei", "at 2:45"),
        ("fünf nach halb neun", "at 8:35"),
        ("um zwanzig Uhr fünfzehn", "at 20:15"),
        ("in anderthalb Stunden", "in 1.5 hours"),
        ("in einer Dreiviertelstunde", "in 45 minutes"),
        ("übermorgen um 9", "the day after tomorrow at 9"),
        ("uebermorgen um 9", "the day after tomorrow at 9"),
        ("morgen früh", "tomorrow in the morning"),
        ("am 24.12. um 10 Uhr", "24 december at 10:00"),
        ("am dritten Mai", "3 may"),
        ("Montagabend", "on monday in the evening"),
        ("jeden Werktag um 9", "every weekday at 9"),
        ("alle zwei Stunden", "every 2 hours"),
        ("zwei Bier", None),
        ("um 25:70", None),
        ("um 9 Uhr war ich", None),
        ("", None),
    ],
)
def test_german_times(phrase: str, english: str | None) -> None:
    assert GERMAN.when(phrase) == english


@pytest.mark.parametrize(
    ("phrase", "english"),
    [
        ("a las ocho y media", "at 8:30"),
        ("a las cuatro menos cuarto", "at 3:45"),
        ("pasado mañana a las 9", "the day after tomorrow at 9:00"),
        ("dentro de diez minutos", "in 10 minutes"),
        ("en hora y media", "in 1.5 hours"),
        ("el viernes a las tres de la tarde", "on friday at 3:00 pm"),
        ("mañana al mediodía", "tomorrow at noon"),
        ("el 24 de diciembre", "24 december"),
        ("de lunes a viernes a las 7", "every weekday at 7:00"),
        ("el lunes que viene", "next monday"),
        ("dos cervezas", None),
        ("a las 25", None),
    ],
)
def test_spanish_times(phrase: str, english: str | None) -> None:
    assert SPANISH.when(phrase) == english


@pytest.mark.parametrize(
    ("language", "text", "digits"),
    [
        (GERMAN, "dreiundzwanzig", "23"),
        (GERMAN, "zweihundertfünfzig", "250"),
        (GERMAN, "eintausendzweihundert", "1200"),
        (GERMAN, "1.200,5", "1200.5"),
        (GERMAN, "drei komma fünf", "3.5"),
        (GERMAN, "ein Brot", "ein Brot"),
        (SPANISH, "veintitrés", "23"),
        (SPANISH, "trescientos setenta y siete", "377"),
        (SPANISH, "dos mil quinientos", "2500"),
        (SPANISH, "seis y diez", "6 y 10"),
        (SPANISH, "15 por ciento", "15 %"),
        (SPANISH, "cinco millas", "5 millas"),
        (SPANISH, "una casa", "una casa"),
    ],
)
def test_numbers(language: languages.Language, text: str, digits: str) -> None:
    assert language.digits(text) == digits


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("Wie viel Uhr ist es in Lissabon?", "clock.now", {"place": "Lisbon"}),
        ("wie spaet ist es in muenchen", "clock.now", {"place": "muenchen"}),
        (
            "erinnere mich übermorgen um 9 an den Müll",
            "reminders.create",
            {"when": "the day after tomorrow at 9", "text": "Müll"},
        ),
        ("lösche Erinnerung drei", "reminders.cancel", {"which": "3", "kind": "reminder"}),
        (
            "verschieb die Erinnerung an den Arzt auf 10 Uhr",
            "reminders.edit",
            {"which": "Arzt", "when": "at 10:00"},
        ),
        ("zieh 17 von 100 ab", "math.calculate", {"expression": "100 - 17"}),
        ("rechne 5 Meilen in Kilometer um", "units.convert", {"amount": "5 mile", "to": "kilometer"}),
        ("würfle drei sechsseitige Würfel", "dice.roll", {"dice": "3d6"}),
        ("merk dir, dass Anna, Bob und Carl kommen", "memory.remember", {"text": "Anna, Bob und Carl kommen"}),
        ("sprich Englisch mit mir", "profile.language", {"language": "en"}),
        (
            "Umfrage für 10 Minuten: Pizza oder Pasta?",
            "polls.create",
            {"question": "", "options": ["Pizza", "Pasta"], "language": "de", "closes": "10 minutes"},
        ),
        ("¿Qué hora es en Nueva York?", "clock.now", {"place": "New York"}),
        (
            "recuérdame mañana a las ocho y media llamar a mamá",
            "reminders.create",
            {"when": "tomorrow at 8:30", "text": "llamar a mamá"},
        ),
        ("cuanto es veintitres por cuatro", "math.calculate", {"expression": "23 * 4"}),
        ("70 kilos en libras", "units.convert", {"amount": "70 kilogram", "to": "pound"}),
        ("me llamo Lucía", "profile.name", {"name": "Lucía"}),
        ("resume los últimos cincuenta mensajes", "channel.summary", {"messages": 50}),
        ("¿qué se dijo en las últimas dos horas?", "channel.summary", {"since": "2 hour"}),
        (
            "encuesta: ¿cuándo quedamos? viernes, sábado o domingo",
            "polls.create",
            {"question": "¿Cuándo quedamos?", "options": ["viernes", "sábado", "domingo"], "language": "es"},
        ),
    ],
)
def test_requests(text: str, name: str, arguments: dict[str, object]) -> None:
    [intent] = UNDERSTANDING.read(text)
    found = dict(intent.arguments)
    if "since" in found:
        found["since"] = str(found["since"]).removesuffix("s")
    assert (intent.name, found) == (name, arguments)


@pytest.mark.parametrize(
    "text",
    [
        "vergiss nicht zu lächeln", "vergiss es", "lösch das Licht", "ich erinnere mich gern", "erinnere dich", "¡¿",
        "ñ", "olvídalo", "borra la pizarra", "recuerdo aquel verano", "no me acuerdo", "ä" * 500, "(ist|war) {place}",
        "erinnere mich nicht", "vota", "Umfrage", "encuesta: pizza", "umfrage: a, a",
    ],
)  # fmt: skip
def test_what_is_not_understood_does_nothing(text: str) -> None:
    harmless = ("none", "smalltalk.ack", "memory.recall")
    assert all(intent.name in harmless or intent.missing for intent in UNDERSTANDING.read(text))


@pytest.mark.parametrize(
    "text",
    ["vergis alles über mich", "lösche alle erinerungen", "borra todos los recordatroios", "olvdia todo sobre mí"],
)
def test_nothing_is_deleted_on_a_guessed_word(text: str) -> None:
    assert not {i.name for i in UNDERSTANDING.read(text)} & {"memory.forget", "memory.forget_all", "reminders.cancel"}


@pytest.mark.parametrize("text", ["wie spet ist es", "stell einen tiemr auf 5 minuten", "lanza una monead"])
def test_typing_errors_are_repaired_with_less_confidence(text: str) -> None:
    [intent] = UNDERSTANDING.read(text)
    assert intent.name != "none"
    assert intent.confidence < 1


def test_several_requests_and_follow_ups() -> None:
    assert [i.name for i in UNDERSTANDING.read("würfle 2w6 und wirf eine Münze")] == ["dice.roll", "coin.flip"]
    assert [i.name for i in UNDERSTANDING.read("tira 2d6 y lanza una moneda")] == ["dice.roll", "coin.flip"]
    [intent] = UNDERSTANDING.read("und in London?", ["Wie spät ist es in Tokio?"])
    assert (intent.name, dict(intent.arguments)) == ("clock.now", {"place": "London"})
    assert UNDERSTANDING.read("und in London?")[0].name == "none"


@pytest.mark.parametrize(
    ("text", "preferred", "earlier", "language"),
    [
        ("Wie geht's?", "en", (), "de"),
        ("¿Cómo estás?", "en", (), "es"),
        ("How are you?", "de", (), "en"),
        ("remind me tomorrow", "es", (), "en"),
        ("vielen dank", "en", (), "de"),
        ("gracias", "en", (), "es"),
        ("status", "de", (), "de"),
        ("status", "en", (), "en"),
        ("ok", "en", ("wie spät ist es in Tokio?",), "de"),
        ("2+2", "es", (), "es"),
        ("xyzzy", "fr", (), "en"),
        ("", "en", (), "en"),
    ],
)
def test_the_language_of_a_message(text: str, preferred: str, earlier: tuple[str, ...], language: str) -> None:
    assert languages_of(text, preferred=preferred, earlier=earlier)[0] == language


@pytest.mark.parametrize("language", languages.CODES)
def test_every_request_of_english_is_there(language: str) -> None:
    def names(code: str) -> set[str]:
        return {name.partition("#")[0] for name in load(code).source["intents"]}

    assert names(language) == names("en")
    assert load(language).replies.keys() == load("en").replies.keys()


def test_both_languages_have_the_same_sentences_with_the_same_gaps() -> None:
    german, spanish = load("de").source, load("es").source
    for part in ("answers", "rhythms"):
        for key, words in german[part].items():
            assert set(re.findall(r"\{(\w+)\}", words)) == set(re.findall(r"\{(\w+)\}", spanish[part][key])), key
    assert german["examples"].keys() == spanish["examples"].keys()
    assert [pattern for pattern, _ in german["errors"]] == [pattern for pattern, _ in spanish["errors"]]
    assert yaml.safe_dump(german["details"]) == "[]\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Wie spät ist es in New York?", r"In New York ist es \*\*10:00\*\* Uhr \(Mittwoch, 4\. März, 6 Stunden hint"),
        ("was sind 19% von 1.234,5", r"= \*\*234,555\*\*"),
        ("1 Meile in Kilometer", r"1 Meile ≈ \*\*1,6093 Kilometer\*\*"),
        ("erinnere mich morgen um halb neun an den Arzt", r"\*\*morgen, Donnerstag, 5\. März, um 08:30 Uhr\*.*: Arzt"),
        ("erinnere mich jeden Montag um 8 an den Müll", r"jeden Montag um 08:00 Uhr"),
        ("stell einen Timer auf eine Minute", r"\*\*1 Minute\*\*"),
        ("wie viele Tage noch bis Weihnachten", r"in 296 Tagen"),
        ("was ist 1 durch 0", r"Durch null"),
        ("wie spät ist es in Paris", r"Paris \(Frankreich\)"),
        ("schreib mir ein Gedicht", r"ANTIPHON_MODEL"),
        ("erinnere mich an Milch", r"Wann soll ich dich an „Milch“ erinnern"),
        ("Hilfe", r"würfle 2w6"),
        ("¿Qué hora es en Londres?", r"En Londres \(Reino Unido\) son las \*\*15:00\*\*"),
        ("cuánto es 10/4", r"= \*\*2,5\*\*"),
        ("recuérdame pasado mañana a las 9 ir al banco", r"el viernes, 6 de marzo de 2026, a las 09:00\*\*: ir al"),
        ("pon un temporizador de una hora", r"\*\*1 hora\*\*"),
        ("cierra la encuesta", r"No hay ninguna encuesta abierta"),
        ("escríbeme un poema", r"ANTIPHON_MODEL"),
        ("ayuda", r"tira 2d6"),
    ],
)  # fmt: skip
async def test_the_answer_is_in_the_language_of_the_message(bench: Workbench, text: str, answer: str) -> None:
    assert re.search(answer, await bench.ask(text), re.DOTALL)


async def test_the_way_to_a_model_is_told_once_and_then_in_short(bench: Workbench) -> None:
    assert "ANTIPHON_MODEL" in await bench.ask("write me a poem")
    short = await bench.ask("translate this into Latin")
    assert "offline either" in short
    assert len(short) < 100
    assert "Auch das kann ich offline nicht" in await bench.ask("übersetze das ins Lateinische")


async def test_a_chosen_language_decides_where_a_message_does_not(bench: Workbench) -> None:
    assert "Everything works" in await bench.ask("status")
    assert "German" in await bench.ask("speak german with me")
    german = await bench.people.person(ADA.id)
    assert german.language == "de"
    assert "Alles funktioniert" in await bench.ask("status", person=german)
    assert "It's **16:00**" in await bench.ask("what time is it", person=german)


async def test_a_memory_in_german_from_telling_to_forgetting(bench: Workbench) -> None:
    await bench.ask("merk dir, dass mein Rad im Keller steht")
    assert "mein Rad im Keller steht" in await bench.ask("wo steht mein Rad?")
    assert "Vergessen" in await bench.ask("vergiss was ich dir über mein Rad gesagt habe")
    assert "weiß ich nichts" in await bench.ask("wo steht mein Rad?")


async def test_reminders_in_spanish_from_making_to_cancelling(bench: Workbench) -> None:
    await bench.ask("recuérdame en 20 minutos mirar el horno")
    await bench.ask("recuérdame en 2 horas llamar a Juan")
    assert "2 cosas pendientes" in await bench.ask("¿qué recordatorios tengo?")
    assert "Cancelado: mirar el horno" in await bench.ask("cancela el recordatorio del horno")
    assert "Cancelado: llamar a Juan" in await bench.ask("borra todos los recordatorios")
    assert "No había nada que cancelar" in await bench.ask("cancela el recordatorio")


async def test_a_name_is_kept_and_used(bench: Workbench) -> None:
    assert "Grace" in await bench.ask("my name is Grace")
    grace = await bench.people.person(ADA.id)
    assert "Hallo, Grace" in await bench.ask("Hallo", person=replace(grace))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("erinnere mich in 10 Minuten an den Tee", "de"),
        ("pon un temporizador de 5 minutos", "es"),
        ("remind me in 10 minutes to drink tea", None),
    ],
)
async def test_what_comes_later_comes_in_the_language_it_was_asked_in(
    bench: Workbench, text: str, language: str | None
) -> None:
    await bench.ask(text)
    (call,) = bench.executions.all()
    assert call.status is ExecutionStatus.OK
    assert [asked.data.get("language") for asked in bench.schedule.asked] == [language]


async def test_an_approval_is_asked_for_in_the_persons_language(bench: Workbench) -> None:
    german = await bench.people.set_preferences(ADA.id, language="de")
    events = await bench.events(bench.request("vergiss alles über mich", person=german))
    assert isinstance(events[-1], Paused)
    assert [one.summary for one in events[-1].requests] == ["Alles endgültig vergessen, was ich über dich weiß"]
