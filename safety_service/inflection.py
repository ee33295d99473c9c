"""Word forms by rule, so that a list names a word once and catches it in every case and tense.

The rules generate too much rather than too little: a form that no speaker uses costs a few bytes in
the automaton, a missing one lets a sentence pass. Words are folded (`normalise`) beforehand.
"""

from __future__ import annotations

import re

_GERMAN_NOUN = ("", "e", "en", "er", "ern", "es", "s", "n", "nen", "ens", "in", "innen")
_GERMAN_ADJECTIVE = (
    "", "e", "en", "em", "er", "es", "ere", "eren", "erer", "eres", "ste", "sten", "ster", "stes",
)  # fmt: skip
_GERMAN_VERB = (
    "", "e", "st", "est", "t", "et", "en", "n", "te", "test", "ten", "tet", "ete", "eten", "etest",
    "end", "ende", "enden", "ender", "endes", "nd", "nde", "nden",
)  # fmt: skip
_GERMAN_PARTICIPLE = ("t", "et", "en", "te", "ten", "ter", "tes", "ete", "eten", "eter", "etes")
_INSEPARABLE = ("be", "er", "ent", "ver", "zer", "miss", "ge")
_ENGLISH_NOUN = ("", "s", "es")
_ENGLISH_ADJECTIVE = ("", "er", "est", "ly", "ness")
_ENGLISH_VERB = ("", "s", "es", "ed", "d", "ing", "in", "er", "ers")
_SHORT_CLOSED_SYLLABLE = re.compile(r"[^aeiou][aeiou][bdglmnprtk]$")

CLASSES = "nva"  # noun, verb (a German one as infinitive), adjective


def inflect(word: str, language: str, classes: str) -> frozenset[str]:
    """List the forms of a word.

    Args:
        word: The folded word; a German verb in the infinitive.
        language: `de`, `en` or `any` (the rules of both).
        classes: Letters of `CLASSES`; empty for the word alone.

    Returns:
        Every form, the word itself among them.
    """
    forms = {word}
    for word_class in classes:
        if language in ("de", "any"):
            forms |= _german(word, word_class)
        if language in ("en", "any"):
            forms |= _english(word, word_class)
    return frozenset(forms)


def _german(word: str, word_class: str) -> set[str]:
    if word_class == "n":
        return {word + ending for ending in _GERMAN_NOUN}
    if word_class == "a":
        stem = word.removesuffix("e")
        return {stem + ending for ending in _GERMAN_ADJECTIVE}
    stem = word.removesuffix("en") if word.endswith("en") else word.removesuffix("n")
    forms = {stem + ending for ending in _GERMAN_VERB}
    forms.discard(stem if len(stem) < 4 else "")
    prefix = "" if stem.startswith(_INSEPARABLE) else "ge"
    return forms | {prefix + stem + ending for ending in _GERMAN_PARTICIPLE}


def _english(word: str, word_class: str) -> set[str]:
    endings = {"n": _ENGLISH_NOUN, "a": _ENGLISH_ADJECTIVE, "v": _ENGLISH_VERB}[word_class]
    forms = {word + ending for ending in endings}
    if word.endswith("e"):
        forms |= {word[:-1] + ending for ending in endings if ending[:1] in ("i", "e")}
    if word.endswith("y"):
        forms |= {word[:-1] + "i" + ending for ending in ("es", "ed", "er", "est", "ly")}
    if _SHORT_CLOSED_SYLLABLE.search(word):
        forms |= {word + word[-1] + ending for ending in endings if ending[:1] in ("i", "e")}
    return forms
