"""Circletake: a catalog of stills in, circled takes out."""

__version__ = "0.1.0"
