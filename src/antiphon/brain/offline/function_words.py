"""The small words of each language: they tell languages apart and carry no subject. Used by `detect` and `extract`."""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    "en": _words(
        """a about after again all also am an and any are as at be because been before being but by can could did do
        does doing don't down each few for from further get got had has have having he her here hers him his how i i'm
        if in into is isn't it it's its just let's me more most much my no nor not now of off on once only or other our
        out over own please same she should so some such than thanks that that's the their them then there these they
        they're this those through to too under until up very was we were what what's when where where's which while
        who who's whom why will with would yes you you're your yours"""
    ),
    "de": _words(
        """aber alle allem allen aller alles als also am an ander andere anderen auch auf aus bei beim bin bis bist
        bitte da damit danke dann das dass dein deine deinem deinen deiner dem den denn der des dich die dies diese
        diesem diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines er es etwas euch euer für
        gegen habe haben hast hat hatte hier hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede
        jedem jeden jeder jedes jetzt kann kannst kein keine keinem keinen keiner können könnte könntest machen man
        manche mein meine meinem meinen meiner mich mir mit muss musst nach nein nicht nichts noch nun nur ob oder ohne
        schon sehr sein seine seinem seinen seiner selbst sich sie sind so soll solche sollte sondern sonst über um und
        uns unser unter viel vom von vor wann war waren warum was weil welche welchem welchen welcher welches wenn wer
        werde werden wie wieder wieviel will willst wir wird wirst wo wurde zu zum zur zwar zwischen heute morgen
        gestern mal fuer ueber koennen koenntest"""
    ),
    "es": _words(
        """a al algo algunas algunos ante antes aquí como cómo con contra cual cuál cuales cuáles cuando cuándo cuanto
        cuánto cuántos cuántas de del desde donde dónde dos el él ella ellas ellos en entre era eres es esa ese eso
        esta está estaba están estas este esto estos estoy favor fue gracias ha haber había han has hasta hay hola hoy
        la las le les lo los más me mi mí mis mucho muy nada ni no nos nosotros nuestra nuestro o os otra otro para
        pero poco por porque puede puedes podrías pon que qué quien quién quiero se sea ser si sí sin sobre son soy su
        sus también tan te tengo tiene tienes todo todos tu tú tus un una uno unos usted vamos y ya yo ayer mañana
        dime ahora esta"""
    ),
}
