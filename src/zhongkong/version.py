"""The version, in one place: below everything, so that whoever shows it reaches nothing else by it."""

__version__ = "0.1.0.dev0"
