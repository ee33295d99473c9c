"""The commands, one module each; `stellwerk_cli.main` puts them together."""
