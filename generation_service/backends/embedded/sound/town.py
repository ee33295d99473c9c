"""What people and their things sound like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import (
    add,
    band,
    clock,
    count,
    decay,
    lowpass,
    noise,
    resonant,
    spread,
    sweep,
    swell,
    tone,
    travel,
)

if TYPE_CHECKING:
    from generation_service.backends.embedded.sound.signal import Mono, Stereo


def city(samples: int, rng: np.random.Generator) -> Stereo:
    """A far hum, cars that pass, now and then a horn."""
    hum = np.stack([lowpass(noise(samples, rng), 240, order=1) for _ in range(2)], axis=1)
    mix = hum * np.float32(0.5)
    at = -1.5
    while at < samples / 44_100:
        length = count(rng.uniform(2.6, 4.2))
        tyres = band(noise(length, rng), 250, 2300, order=1) * np.float32(0.9)
        motor = sweep(rng.uniform(70, 110) * np.linspace(1.08, 0.92, length)) * np.float32(0.1)
        way = np.linspace(-1, 1, length, dtype=np.float32) * rng.choice((-1, 1))
        car = travel((tyres + motor) * swell(length) ** 2, way)
        add(mix, car, round(at * 44_100), rng.uniform(0.5, 1.1))
        if rng.random() < 0.4:
            horn = count(rng.uniform(0.16, 0.4))
            pitch = rng.uniform(330, 440)
            beep = (tone(pitch, horn) + tone(pitch * 1.26, horn)) * swell(horn) ** 0.3
            beep = beep + (tone(pitch * 2, horn) + tone(pitch * 3.78, horn)) * np.float32(0.3)
            start = round((at + rng.uniform(0.8, 2.0)) * 44_100)
            add(mix, spread(lowpass(beep.astype(np.float32), 1800), rng.uniform(-1, 1)), start, 0.1)
        at += rng.uniform(1.3, 2.6)
    return mix


def train(samples: int, rng: np.random.Generator) -> Stereo:
    """Wheels over joints, a rumble, and a whistle."""
    rumble = np.stack([lowpass(noise(samples, rng), 170, order=1) for _ in range(2)], axis=1)
    mix = rumble * np.float32(0.7)
    at, beat = 0.1, rng.uniform(0.85, 1.0)
    while at < samples / 44_100:
        for offset, gain in ((0.0, 1.0), (0.16, 0.8), (0.46, 1.0), (0.62, 0.7)):
            length = count(0.12)
            clack = resonant(noise(length, rng), ((210, 60, 2.0), (1450, 300, 1.0)))
            part = spread(clack * decay(length, 0.03), rng.uniform(-0.3, 0.3))
            add(mix, part, count(at + offset * beat), gain * 1.6)
        at += beat
    length = count(1.5)
    chord = sum(tone(pitch, length) for pitch in (523, 659, 784, 932))
    steam = band(noise(length, rng), 500, 3000) * np.float32(0.5)
    whistle = (np.asarray(chord, np.float32) * np.float32(0.3) + steam) * swell(length) ** 0.4
    for start in (0.18, 0.72):
        add(mix, spread(whistle.astype(np.float32), -0.3), int(samples * start), 0.32)
    return mix


def crowd(samples: int, rng: np.random.Generator) -> Stereo:
    """Many voices at once; none says anything."""
    mix = np.zeros((samples, 2), np.float32)
    vowels = ((730, 1090), (530, 1840), (390, 1990), (570, 840), (300, 870))
    for _ in range(9):
        place, base = rng.uniform(-1, 1), rng.uniform(130, 330)
        at = rng.uniform(0, 1.0)
        while at < samples / 44_100:
            length = count(rng.uniform(0.12, 0.3))
            first, second = vowels[int(rng.integers(len(vowels)))]
            curve = base * (1 + rng.uniform(-0.15, 0.2) * np.linspace(0, 1, length))
            saw = sum(sweep(curve * k) * np.float32(1 / k) for k in range(1, 11))
            voice = resonant(np.asarray(saw, np.float32), ((first, 90, 1.0), (second, 130, 0.6)))
            add(mix, spread(voice * swell(length), place), count(at), rng.uniform(0.15, 0.35))
            at += length / 44_100 + (
                rng.uniform(0.02, 0.06) if rng.random() < 0.8 else rng.uniform(0.4, 1.3)
            )
    return mix


def bells(samples: int, rng: np.random.Generator) -> Stereo:
    """Three bells of a tower, rung in turns."""
    mix = np.zeros((samples, 2), np.float32)
    root = rng.uniform(210, 270)
    at, turn = 0.2, 0
    while at < samples / 44_100:
        pitch = root * (1.0, 1.25, 1.5, 1.25)[turn % 4]
        add(mix, spread(_bell(pitch), (-0.5, 0.1, 0.5, 0.1)[turn % 4]), count(at), 0.35)
        at += rng.uniform(0.85, 1.0)
        turn += 1
    return mix


def chimes(samples: int, rng: np.random.Generator) -> Stereo:
    """Glass that the air moves."""
    mix = np.zeros((samples, 2), np.float32)
    pitches = [1046 * ratio for ratio in (1, 9 / 8, 5 / 4, 3 / 2, 5 / 3, 2, 9 / 4, 5 / 2)]
    at = 0.1
    while at < samples / 44_100:
        for _ in range(int(rng.integers(2, 8))):
            length = count(1.8)
            pitch = pitches[int(rng.integers(len(pitches)))]
            glass = tone(pitch, length) * decay(length, 0.5)
            glass += tone(pitch * 2.76, length) * decay(length, 0.2) * np.float32(0.4)
            at += rng.exponential(0.12)
            add(mix, spread(glass, rng.uniform(-0.8, 0.8)), count(at), rng.uniform(0.08, 0.2))
        at += rng.uniform(0.5, 1.6)
    return mix


def steps(samples: int, rng: np.random.Generator) -> Stereo:
    """Somebody walks by: heel, then sole."""
    mix = np.zeros((samples, 2), np.float32)
    at, beat, total = 0.2, rng.uniform(0.5, 0.6), samples / 44_100
    while at < total:
        place = 1.4 * (at / total) - 0.7
        for offset, low, gain in ((0.0, 150.0, 1.8), (0.09, 330.0, 0.9)):
            length = count(0.11)
            thud = resonant(noise(length, rng), ((low, 50, 2.5), (1200, 500, 0.5)))
            add(mix, spread(thud * decay(length, 0.02), place), count(at + offset), gain)
        at += beat * rng.uniform(0.97, 1.03)
    return mix


def clockwork(samples: int, rng: np.random.Generator) -> Stereo:
    """Tick and tock."""
    mix = np.zeros((samples, 2), np.float32)
    for beat in range(int(samples / 22_050)):
        length = count(0.07)
        peaks = ((2300, 180, 1.5), (4300, 400, 1.0)) if beat % 2 else ((1750, 150, 1.7),)
        tick = resonant(noise(length, rng), peaks) * decay(length, 0.012, attack=0.0006)
        add(mix, spread(tick, -0.15 if beat % 2 else 0.15), count(0.05 + beat * 0.5), 2.4)
    return mix


def heart(samples: int, rng: np.random.Generator) -> Stereo:
    """Lub, dub."""
    mix = np.zeros((samples, 2), np.float32)
    at, beat = 0.2, rng.uniform(0.82, 0.95)
    while at < samples / 44_100:
        for offset, pitch, gain in ((0.0, 58.0, 1.0), (0.28, 72.0, 0.7)):
            length = count(0.24)
            thump = sweep(pitch * (1.5 - 0.6 * np.linspace(0, 1, length)))
            add(mix, spread(thump * decay(length, 0.07, attack=0.012), 0), count(at + offset), gain)
        at += beat
    return mix


def machine(samples: int, rng: np.random.Generator) -> Stereo:
    """A motor, a hiss and a press in one rhythm."""
    t = clock(samples)
    beat = rng.uniform(1.6, 2.2)
    hum = sum(tone(55 * k, samples) * np.float32(0.6**k) for k in range(1, 7))
    turning = 0.7 + 0.3 * np.sin(math.tau * beat * 2 * t)
    mix = spread((np.asarray(hum) * turning * 0.5).astype(np.float32), 0.0)
    for turn in range(int(samples / 44_100 * beat)):
        length = count(0.3)
        press = resonant(noise(length, rng), ((160, 40, 3.0), (900, 90, 1.5), (2750, 120, 1.0)))
        hiss = band(noise(length, rng), 3000, 9000, order=1) * swell(length, peak=0.7)
        start = count(0.1 + turn / beat)
        add(mix, spread(press * decay(length, 0.06), -0.4), start, 1.3 if turn % 4 else 2.0)
        add(mix, spread(hiss, 0.5), start + count(0.5 / beat), 0.35)
    return mix


def robot(samples: int, rng: np.random.Generator) -> Stereo:
    """Beeps in sentences, with motors between them."""
    mix = np.zeros((samples, 2), np.float32)
    at = 0.2
    while at < samples / 44_100:
        base, place = rng.uniform(380, 900), rng.uniform(-0.5, 0.5)
        for _ in range(int(rng.integers(3, 9))):
            length = count(rng.choice((0.05, 0.08, 0.14)))
            pitch = base * 2 ** (int(rng.integers(-5, 9)) / 12)
            glide = np.linspace(1, rng.choice((1.0, 1.0, 1.5, 0.7)), length)
            beep = np.tanh(3 * sweep(pitch * glide)) * swell(length) ** 0.3
            add(mix, spread(beep.astype(np.float32), place), count(at), 0.16)
            at += length / 44_100 + 0.03
        length = count(rng.uniform(0.3, 0.6))
        motor = sweep(rng.uniform(150, 240) * (1 + 0.8 * np.linspace(0, 1, length)))
        servo = lowpass(np.tanh(4 * motor).astype(np.float32), 1500) * swell(length)
        add(mix, spread(servo, -place), count(at + 0.1), 0.16)
        at += rng.uniform(0.8, 1.4)
    return mix


def typewriter(samples: int, rng: np.random.Generator) -> Stereo:
    """Keys in a hurry, a bell at the line's end."""
    mix = np.zeros((samples, 2), np.float32)
    at = 0.1
    while at < samples / 44_100:
        keys = int(rng.integers(14, 26))
        for key in range(keys):
            length = count(0.06)
            strike = resonant(noise(length, rng), ((480, 120, 1.5), (2900, 500, 1.5)))
            place = 0.8 * key / keys - 0.4
            add(mix, spread(strike * decay(length, 0.012, attack=0.0006), place), count(at), 1.8)
            at += rng.uniform(0.07, 0.17) * (2.2 if rng.random() < 0.15 else 1)
        add(mix, spread(_bell(1980)[: count(0.9)], 0.4), count(at), 0.16)
        at += rng.uniform(0.5, 0.8)
    return mix


def _bell(pitch: float) -> Mono:
    """A struck bell: its partials are no harmonics, the high ones die first."""
    length = count(3.2)
    partials = ((0.5, 0.5, 2.6), (1, 1.0, 2.0), (1.19, 0.6, 1.4), (2, 0.6, 1.0), (2.74, 0.35, 0.6))
    voice = sum(
        tone(pitch * ratio, length) * decay(length, seconds) * np.float32(gain)
        for ratio, gain, seconds in (*partials, (3.76, 0.22, 0.35), (5.4, 0.12, 0.2))
    )
    return np.asarray(voice, np.float32)
