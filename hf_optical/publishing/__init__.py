"""What leaves the house: a smaller vocabulary, a card, a repository on the Hub."""

from __future__ import annotations
