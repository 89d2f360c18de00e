"""What a summary without a model keeps."""

from __future__ import annotations

import time

import pytest

from antiphon.brain.offline.extract import MOST_SENTENCES, sentences_of, summarise

TALK = [
    "Good morning everybody.",
    "The launch of the new website is planned for Friday. Anna writes the texts for the website.",
    "ok",
    "My cat slept on the keyboard again.",
    "Then the launch of the website on Friday needs a test of the payment page.",
    "The launch of the new website is planned for Friday!",
    "Bob tests the payment page before the launch.",
]


def test_the_subject_is_kept_and_the_cat_is_not() -> None:
    summary = summarise(TALK, sentences=3, language="en")
    assert "launch" in summary
    assert "payment" in summary
    assert "cat" not in summary
    assert len(sentences_of(summary)) == 3


def test_nothing_is_said_twice() -> None:
    summary = summarise(TALK, sentences=4, language="en")
    assert summary.count("planned for Friday") == 1


def test_the_order_is_the_order_of_the_conversation() -> None:
    said = sentences_of(summarise(TALK, sentences=3, language="en"))
    whole = " ".join(TALK)
    places = [whole.rindex(sentence.rstrip(".!")) for sentence in said]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("language", "texts", "kept", "left_out"),
    [
        (
            "de",
            [
                "Der Umzug ist am Samstag, wir brauchen einen Transporter.",
                "Mir ist langweilig.",
                "Den Transporter für den Umzug am Samstag holt Jonas.",
                "Jonas braucht für den Transporter noch einen Führerschein.",
            ],
            "Transporter",
            "langweilig",
        ),
        (
            "es",
            [
                "La reunión del equipo es el martes a las diez.",
                "Qué calor hace hoy.",
                "En la reunión del martes hablamos del presupuesto del equipo.",
                "El presupuesto lo prepara Lucía antes de la reunión.",
            ],
            "reunión",
            "calor",
        ),
    ],
)
def test_other_languages(language: str, texts: list[str], kept: str, left_out: str) -> None:
    summary = summarise(texts, sentences=2, language=language)
    assert kept in summary
    assert left_out not in summary


@pytest.mark.parametrize(
    ("texts", "sentences", "summary"),
    [
        ([], 3, ""),
        (["", "  \n "], 3, ""),
        (["One thing."], 0, ""),
        (["One thing"], 3, "One thing."),
        (["ok", "ok", "ok"], 2, "ok."),
        (["!!!", "???"], 1, "???"),
        (["😀 😀"], 1, "😀 😀."),
    ],
)
def test_little_or_nothing_to_say(texts: list[str], sentences: int, summary: str) -> None:
    assert summarise(texts, sentences=sentences, language="en") == summary


def test_an_unknown_language_still_gets_a_summary() -> None:
    assert (
        summarise(["Mötet är på fredag klockan nio."], sentences=1, language="sv") == "Mötet är på fredag klockan nio."
    )


def test_abbreviations_and_dates_do_not_end_a_sentence() -> None:
    assert sentences_of("Wir treffen uns am 3. Mai, z. B. im Park. Danach Eis!") == [
        "Wir treffen uns am 3. Mai, z. B. im Park.",
        "Danach Eis!",
    ]


def test_a_flood_of_text_is_bounded() -> None:
    texts = [f"Message number {i} about topic {i % 17} and thing {i % 5} said by person {i % 7}." for i in range(5000)]
    began = time.perf_counter()
    summary = summarise([*texts, "x" * 100_000], sentences=5, language="en")
    assert time.perf_counter() - began < 3
    assert 1 <= len(sentences_of(summary)) <= MOST_SENTENCES
    assert len(summary) < 2500
