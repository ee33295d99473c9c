"""A small picture for each style, drawn from its name: the same at every place and time."""

from __future__ import annotations

import hashlib

from markupsafe import Markup

_SIZE = 64


def emblem(name: str) -> Markup:
    """Draw an emblem as SVG; its colours are classes of the style sheet."""
    numbers = hashlib.sha256(name.encode()).digest()
    shapes = [_shape(numbers[place * 5 : place * 5 + 5]) for place in range(4)]
    return Markup(
        f'<svg class="emblem ground-{numbers[31] % 3}" viewBox="0 0 {_SIZE} {_SIZE}"'
        f' aria-hidden="true" focusable="false">{"".join(shapes)}</svg>'
    )


def _shape(numbers: bytes) -> str:
    kind, colour, x, y, turn = numbers
    left, top = 8 + x % 34, 8 + y % 34
    extent = 10 + (x ^ y) % 16
    css = f'class="tint-{colour % 4}"'
    middle = f"{left + extent // 2} {top + extent // 2}"
    match kind % 5:
        case 0:
            return f'<circle {css} cx="{left + 8}" cy="{top + 8}" r="{extent * 0.6:.0f}"/>'
        case 1:
            return (
                f'<rect {css} x="{left}" y="{top}" width="{extent}" height="{extent}"'
                f' transform="rotate({turn % 90} {middle})"/>'
            )
        case 2:
            return (
                f'<path {css} d="M{left} {top + extent}l{extent * 0.6:.0f}-{extent}'
                f' {extent * 0.6:.0f} {extent}z"/>'
            )
        case 3:
            return (
                f'<path {css} d="M{left} {top}a{extent} {extent} 0 0 1'
                f' {extent} {extent}h-{extent}z"'
                f' transform="rotate({turn % 4 * 90} {middle})"/>'
            )
        case _:
            return (
                f'<path class="stroke tint-{colour % 4}" d="M4 {top + 8}q14-{extent} 28 0t28 0"/>'
            )
