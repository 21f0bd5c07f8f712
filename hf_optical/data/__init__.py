"""What people bring: bitext, lexicons and retrieval sets; read, checked, named."""

from __future__ import annotations
