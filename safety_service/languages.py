"""Tells which languages speak out of a text, so that one language's word is no other's hit.

`slut` is an insult in English and the end of a Swedish film, `die` is an article and a verb. Only
the text itself is asked: a language that a caller declares may be wrong, and a wrong one must not
hide a word. The commonest words of a language are proof enough and cost a microsecond. Short texts
often prove nothing; then every list counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "other"

# Folded, and without words that two of these languages share ("die", "in", "so", "was", "la").
_COMMON = {
    "de": """der das und ist ein eine einen einem einer mit im auf nicht ich du er sie wir ihr es
        von zu zum zur auch aber oder wie wenn weil dass sein seine seinen mein meine meinen dein
        deine kein keine keinen sich mir mich dir dich uns euch ihm ihn ihnen den dem des fuer
        ueber unter nach vor aus bei bis durch gegen ohne sind wird werden wurde haben habe kann
        koennen soll muss mache macht machen mal bitte bild zeichne male zeige gibt warum welche
        dieser diese dieses jemand alle alles sehr noch nur schon immer dann da hier ja nein beim
        vom ins dich heute gerne moechte einfach wer wo wann""",
    "en": """the and of is with to for from by at on it he she we they you your my his her their
        our its this that these those are were been be have has had do does did can could would
        should must not or but if because how what why who where when which there here draw make
        please picture show me him them us as into over under about after before than then very
        just only some any every all no yes an while without image painting i""",
    OTHER: """le les des et est une dans avec pour sur qui que pas nous vous mais ses aux du
        el los las y del una con por para como muy pero sus lo al il gli di che della nel non e
        sono uma com nao mais dos da das os het een van op voor niet zijn maar ook naar
        jest nie sie oraz przez dla ktory bardzo tylko gdzie jak ve bir bu icin cok ile ama degil
        och det att som pa aer inte foer av til og ikke med jeg har paa den je se ale ktere jsem
        egy nem hogy si cu pe este care ja ei
        i is of over we on me no he do to for at her all under er es mal hier dem""",
}
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_SHARED = frozenset().union(
    *(a & b for one, a in _WORDS.items() for other, b in _WORDS.items() if one != other)
)
_PROOFS = {language: words - _SHARED for language, words in _WORDS.items()}

# Words of any wish for a picture; what is left of a text without them is what it is about.
_EMPTY = """ein eine einen einem einer der die das den dem und mal male malt zeichne zeichnen mach
    mache bitte bild bilder foto von mir mich für zeig zeige ich will möchte viele a an the and some
    draw paint picture photo image of for me please make show create generate i want many"""
EMPTY_WORDS = frozenset(_EMPTY.split())


def evident_languages(words: Iterable[str]) -> frozenset[str]:
    """Name the languages that a text shows.

    Args:
        words: The words of the text, folded.

    Returns:
        Of `de` and `en` those with a common word in the text, `OTHER` if it has two; empty if
        nothing is evident.
    """
    found = frozenset(words)
    evident = {name for name in ("de", "en") if not _PROOFS[name].isdisjoint(found)}
    return frozenset(evident | ({OTHER} if len(_PROOFS[OTHER] & found) > 1 else set()))


def is_foreign_letter(character: str) -> bool:
    """Whether a letter is Latin with an accent that neither German nor English writes."""
    return "\u00c0" <= character <= "\u024f" and character not in "äöüÄÖÜß×÷"
