"""Gradio app for a published student, built in a folder: search in English documents with questions in its language."""

from __future__ import annotations

from hf_optical.publishing.space.build import SETTINGS, Space, build_space

__all__ = ["SETTINGS", "Space", "build_space"]
