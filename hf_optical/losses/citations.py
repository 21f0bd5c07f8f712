"""BibTeX of the methods, for model cards."""

from __future__ import annotations

OPTICAL = """
@inproceedings{huang2023optical,
    title={Improving Cross-lingual Information Retrieval on Low-Resource Languages via Optimal Transport Distillation},
    author={Zhiqi Huang and Puxuan Yu and James Allan},
    booktitle={Proceedings of the Sixteenth ACM International Conference on Web Search and Data Mining},
    year={2023},
    eprint={2301.12566},
    archivePrefix={arXiv},
}
"""

LEXICAL_INJECTION = """
@misc{ngugi2025targeted,
    title={Targeted Lexical Injection: Unlocking Latent Cross-Lingual Alignment in Lugha-Llama via Early-Layer LoRA
        Fine-Tuning},
    author={Stanley Ngugi},
    year={2025},
    eprint={2506.15415},
    archivePrefix={arXiv},
}
"""
