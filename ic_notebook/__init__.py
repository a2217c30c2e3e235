"""Placeholder while the rooms are built."""

__version__ = "0.1.0"
