"""Keeps credentials fresh, on demand and in rounds. Knows only the core and its ports."""
