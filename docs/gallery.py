"""Makes the gallery of docs/gallery.md: what shipped configs made of ideas, in real runs.

Usage: `python docs/gallery.py --server 127.0.0.1:50051 [CONFIG …]` beside a running `stellwerk up`
with the embedded model. Without names all shipped configs run, in German and English; with names
only these, and the others stay as they are. Texts are kept in `gallery/runs.json`, pictures beside
it as small WebP files, so that the page can be written again without running anything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from orchestrator.configs import ConfigSet, load_configs, shipped_configs_dir

DOCS = Path(__file__).resolve().parent
FOLDER = DOCS / "gallery"
RUNS = FOLDER / "runs.json"
PIXELS = 360
MAX_BYTES = 24_000
AT_ONCE = 3
RUN_SECONDS = 600

# Another idea for each, in the order of the page.
IDEAS = {
    "dada": ("Meine Oma sucht ihre Brille", "The teacher drinks tea"),
    "bauhaus": ("Ein Haus am See", "A cat on the roof"),
    "expressionism": ("Ich habe Angst vor der Mathearbeit", "I am so happy today"),
    "surrealism": ("Eine Uhr am Strand", "A fish in the library"),
    "renaissance": ("Ein Astronaut mit Blumen", "A girl with a robot"),
    "technical_drawing": ("Ein Fahrrad, das fliegen kann", "A machine that makes friends"),
    "planetarian": ("Ein Apfel im Supermarkt", "My new phone"),
    "overdrive": ("Ein kleiner Vogel singt", "A cup of cocoa"),
    "the_opposite": ("Ein mutiger Ritter reitet durch den Wald", "A small boat on a quiet sea"),
    "tell_a_story": ("Der alte Mann und die Ente", "A letter under the door"),
    "split_and_combine": ("Ein Zug in der Nacht", "An old tree in the city"),
    "youth_slang": ("Mein Bruder kann jetzt Skateboard fahren", "The moon is very bright tonight"),
    "pig_latin": ("Das Geheimnis liegt unter der Treppe", "Meet me at the lake at nine"),
    "stillepost": ("Der Hund frisst den Kuchen", "The queen dances in the rain"),
    "image_comparison": ("Eine Blume auf der Wiese", "A red house under the stars"),
    "user_defined": ("Ein Elefant im Bus", "A dragon at the dentist"),
    "passthrough": ("Der Wind ist heute blau", "Nothing but three yellow circles"),
}
OWN_RULES = {"de": "Alles spielt unter Wasser.", "en": "Everything happens under water."}
LANGUAGES = ("de", "en")
LABELS = {"de": "Deutsch", "en": "English"}


def main() -> None:
    """Run what was asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("configs", nargs="*", help="Unset: all.")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    runs: dict[str, Any] = json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.exists() else {}
    wanted = options.configs or list(IDEAS)
    jobs = [(config, language) for config in wanted for language in LANGUAGES]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        works = [pool.submit(_run, *job, options.server, options.seed) for job in jobs]
        runs |= dict(work.result() for work in works)
    RUNS.write_text(json.dumps(runs, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (DOCS / "gallery.md").write_text(page(runs), encoding="utf-8")


def _run(config: str, language: str, server: str, seed: int) -> tuple[str, dict[str, Any]]:
    """Run an idea through a config; returns its key and what it made."""
    idea = IDEAS[config][LANGUAGES.index(language)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stellwerk_cli", "run", idea, "--config", config]
        command += ["--lang", language, "--level", "kids", "--seed", str(seed), "--json"]
        command += ["--server", server, "--session", f"gallery-{config}", "--out", folder]
        if config == "user_defined":
            command += ["--context", OWN_RULES[language]]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=RUN_SECONDS
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        items = [each["item_recorded"]["item"] for each in events if "item_recorded" in each]
        pictures = sorted(Path(folder).rglob("*.png"))
        names = [_shrink(path, f"{config}-{language}-{n}") for n, path in enumerate(pictures, 1)]
    state = next((e["state_changed"]["state"] for e in events[::-1] if "state_changed" in e), "")
    print(f"{config} {language}: {state or done.stderr}", flush=True)
    return f"{config}-{language}", {
        "idea": idea,
        "state": state,
        "texts": [_text(item) for item in items if item["item_type"] in _TEXTS],
        "pictures": names,
    }


_TEXTS = {"interception_iteration", "interception_final", "translation_result"}


def _text(item: dict[str, Any]) -> dict[str, Any]:
    facts = item.get("metadata", {})
    return {
        "type": item["item_type"],
        "language": facts.get("language", ""),
        "step": facts.get("step", ""),
        "text": item.get("content", ""),
        "composed": facts.get("finish_reason") == "composed",
    }


def _shrink(path: Path, name: str) -> str:
    """Write a small copy beside the page; returns its file's name."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
    target = FOLDER / f"{name}.webp"
    for quality in range(60, 20, -8):
        small.save(target, quality=quality, method=6)
        if target.stat().st_size <= MAX_BYTES:
            break
    return target.name


def page(runs: dict[str, Any]) -> str:
    """Write the page."""
    configs = load_configs(shipped_configs_dir())
    return "\n".join([_HEAD, *(_section(config, runs, configs) for config in IDEAS)])


_HEAD = """# Gallery

What the shipped configs make of an idea, in German and English, on a machine without a GPU and
without internet: the embedded language model (270 million parameters) and the embedded renderer,
at the level for children. Bigger models write far better texts by the same rules; what is shown
here is the least that you get.

Written by `docs/gallery.py` from real runs. Texts are as they came, clumsy ones too. *composed*
marks a text in which a rule stood in for the model; see [embedded-model.md](embedded-model.md).
"""


def _section(config: str, runs: dict[str, Any], configs: ConfigSet) -> str:
    named = configs.interception[config]
    lines = [f"## {named.name.text_for('en')} · `{config}`", named.description.text_for("en"), ""]
    for language in LANGUAGES:
        run = runs.get(f"{config}-{language}")
        if run is None:
            continue
        lines += [f"**{LABELS[language]}**: {run['idea']}  "]
        lines += [_line(config, text) for text in _shown(run["texts"], run["idea"])]
        lines += ["", *[_picture(name, run["idea"]) for name in run["pictures"]], ""]
    return "\n".join(lines)


def _shown(texts: list[dict[str, Any]], idea: str) -> list[dict[str, Any]]:
    """Leave out what only repeats what stands above."""
    before = {idea}
    shown = []
    for text in texts:
        if text["text"] not in before:
            shown.append(text)
        before.add(text["text"])
    return shown


def _line(config: str, text: dict[str, Any]) -> str:
    mark = " *(composed)*" if text["composed"] else ""
    if text["type"] == "translation_result":
        return f"→ for the renderer: {text['text']}{mark}  "
    if config == "stillepost":
        return f"→ {text['language']}: {text['text']}{mark}  "
    if text["type"] == "interception_iteration":
        return f"→ {text['step'].partition('.')[0].lower()}: {text['text']}{mark}  "
    return f"→ {text['text']}{mark}  "


def _picture(name: str, idea: str) -> str:
    return f'<img src="gallery/{name}" width="240" alt="{idea}">'


if __name__ == "__main__":
    main()
