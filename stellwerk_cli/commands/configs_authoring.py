"""`stellwerk configs new|try|diff`: writing configs without a server and without a model."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.configs import (
    ConfigError,
    ConfigSet,
    PlanRequest,
    build_plan,
    load_configs,
    shipped_configs_dir,
)
from orchestrator.configs.rendering import rendered_prompts
from servicekit.errors import ServiceError
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import JsonOption, LanguageOption  # noqa: TC001 - typer reads them

if TYPE_CHECKING:
    from orchestrator.configs.rendering import Prompt

FolderOption = Annotated[
    Path | None,
    typer.Option("--dir", exists=True, file_okay=False, help="Unset: the configs in use."),
]
IdArgument = Annotated[str, typer.Argument(help="Id of an interception config.")]

_NEW = {
    "$schema": "../schema/interception.json",
    "name": {"en": "", "de": ""},
    "description": {
        "en": "What it does, in a sentence for people.",
        "de": "Was es tut, in einem Satz für Menschen.",
    },
    "pipeline": "single_interception",
    "context": {
        "en": ["The rule by which a text is rewritten.", "", "One paragraph or several."],
        "de": ["Die Regel, nach der ein Text umgeschrieben wird.", "", "Ein Absatz oder mehrere."],
    },
    "default_output": "image",
}


def new(
    config_id: Annotated[str, typer.Argument(help="Its id: lower-case letters, digits and _.")],
    folder: FolderOption = None,
    like: Annotated[str, typer.Option(help="Begin with a copy of this config.")] = "",
) -> None:
    """Write a new interception config to fill in. Never overwrites one."""
    folder = folder or shipped_configs_dir()
    path = folder / "interception" / f"{config_id}.json"
    original = folder / "interception" / f"{like}.json"
    name = {language: config_id.replace("_", " ").title() for language in ("en", "de")}
    try:
        content = json.loads(original.read_text(encoding="utf-8")) if like else dict(_NEW)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            json.dump({**content, "name": name}, file, ensure_ascii=False, indent=2)
            file.write("\n")
    except FileExistsError as exc:
        complain(f"{path} is there already; choose another id.")
        raise typer.Exit(Exit.USAGE) from exc
    except (OSError, ValueError) as exc:
        complain(f"{original if like else path}: {exc}")
        raise typer.Exit(Exit.USAGE) from exc
    say(f"{path}: fill it in, then `stellwerk configs check` and `stellwerk configs try`")


def try_(
    config_id: IdArgument,
    text: Annotated[list[str], typer.Argument(help="The idea; more texts where it takes more.")],
    folder: FolderOption = None,
    lang: LanguageOption = "en",
    output: Annotated[list[str] | None, typer.Option(help="An output; repeatable.")] = None,
    context: Annotated[str | None, typer.Option(help="A rule in place of the config's.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Render every prompt that a run would send, without calling a model."""
    configs = _load(folder)
    config = configs.interception.get(config_id)
    pipeline = configs.pipelines[config.pipeline] if config else None
    request = PlanRequest(
        config_id,
        lang or "en",
        text_count=len(text),
        image_count=pipeline.input_requirements.images if pipeline else 0,
        outputs=tuple(output or ()),
        context=context,
    )
    try:
        plan = build_plan(configs, request)
    except ServiceError as exc:
        complain(exc.message)
        raise typer.Exit(Exit.USAGE) from exc
    prompts = rendered_prompts(plan, text)
    for prompt in prompts:
        say(json.dumps(_plain(prompt), ensure_ascii=False) if as_json else _page(prompt))
    if not prompts and not as_json:
        say("No model is asked: the text is passed through.")


def diff(
    config_id: IdArgument,
    other: Annotated[
        str, typer.Argument(help="Another config. Unset: the shipped one of the same id.")
    ] = "",
    folder: FolderOption = None,
) -> None:
    """Show what differs between two configs, with their pipelines, chunks and outputs.

    Exit code 1 if anything does.
    """
    mine = _load(folder)
    theirs = mine if other else load_configs(shipped_configs_dir())
    first, second = _resolved(theirs, other or config_id), _resolved(mine, config_id)
    names = (other or f"{config_id} (shipped)", config_id)
    lines = list(difflib.unified_diff(first, second, *names, n=2, lineterm=""))
    for line in lines:
        say(line)
    if lines:
        raise typer.Exit(Exit.FAULTS)


def _load(folder: Path | None) -> ConfigSet:
    folder = folder or shipped_configs_dir()
    try:
        return load_configs(folder)
    except ConfigError as exc:
        complain(f"The configs in {folder} are faulty; `stellwerk configs check` lists the faults.")
        raise typer.Exit(Exit.FAULTS) from exc


def _resolved(configs: ConfigSet, config_id: str) -> list[str]:
    if config_id not in configs.interception:
        complain(f'There is no config "{config_id}".')
        raise typer.Exit(Exit.USAGE)
    plain = json.loads(configs.resolved_interception(config_id))
    return json.dumps(plain, ensure_ascii=False, indent=2, sort_keys=True).splitlines()


def _plain(prompt: Prompt) -> dict[str, object]:
    messages = [{"role": role, "content": content} for role, content in prompt.messages]
    return {**asdict(prompt), "messages": messages}


def _page(prompt: Prompt) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in prompt.parameters.items())
    head = f"── stage {prompt.stage}, {prompt.step}: chunk {prompt.chunk}, role {prompt.role}"
    parts = [f"{head} ({parameters})" if parameters else head]
    parts += [f"[{message.role}]\n{message.content}" for message in prompt.messages]
    return "\n".join(parts) + "\n"
