"""Options of ``hf-optical completion``."""

from __future__ import annotations

from dataclasses import dataclass

import shtab

from hf_optical.configuration.fields import option


@dataclass
class CompletionConfig:
    """Print the completion script of a shell."""

    shell: str = option(text=f"Shell to complete in, one of {', '.join(shtab.SUPPORTED_SHELLS)}.", first=True)
