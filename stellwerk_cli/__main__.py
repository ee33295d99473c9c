"""Runs the command as `python -m stellwerk_cli`."""

from __future__ import annotations

from stellwerk_cli.main import app

if __name__ == "__main__":
    app(prog_name="stellwerk")
