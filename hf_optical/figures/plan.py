"""Heat map of a transport plan between the tokens of a translation and of its English."""

from __future__ import annotations

from pathlib import Path

import torch
from sentence_transformers.base.model import BaseModel
from torch import Tensor

from hf_optical.encoders.prompts import with_text_start
from hf_optical.encoders.teachers import is_late_interaction, query_prompt
from hf_optical.encoders.token_view import TokenView, boundary_token_ids, content_mask, encode_tokens
from hf_optical.losses.alignment import transport_loss
from hf_optical.losses.token_side import TokenSide
from hf_optical.transport import IPOT, TransportSolver


@torch.no_grad()
def sentence_plan(
    student: BaseModel, teacher: BaseModel, source: str, translation: str, solver: TransportSolver | None = None
) -> tuple[Tensor, list[str], list[str]]:
    """Compute the plan of one pair, without padding and special tokens.

    Args:
        student: Encoder of the translation.
        teacher: Encoder of the English.
        source: The English sentence.
        translation: Its translation.
        solver: ``IPOT()`` if not given.

    Returns:
        The plan, (n, m); the student's n tokens and the teacher's m tokens as text.
    """
    views, names, keeps = [], [], []
    for model, text in ((student, translation), (teacher, source)):
        view = _read(model, text)
        keep = content_mask(view.mask, view.special, "exclude")[0]
        views.append(TokenSide(view.tokens, view.mask, view.special))
        names.append(model.tokenizer.convert_ids_to_tokens(view.input_ids[0][keep].tolist()))
        keeps.append(keep.cpu())
    _, plan = transport_loss(views[0], views[1], solver or IPOT(), "exclude")
    return plan[0].cpu()[keeps[0]][:, keeps[1]], names[0], names[1]


def draw_plan(
    student: BaseModel,
    teacher: BaseModel,
    source: str,
    translation: str,
    file: str | Path,
    *,
    solver: TransportSolver | None = None,
    title: str | None = None,
) -> Path:
    """Draw the plan of one pair as a PNG; every row is scaled to its own mass and shows an alignment.

    Needs matplotlib (the ``report`` extra).
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plan, rows, columns = sentence_plan(student, teacher, source, translation, solver)
    share = plan / plan.sum(dim=1, keepdim=True).clamp_min(1e-12)
    figure, axes = pyplot.subplots(figsize=(2.5 + 0.45 * len(columns), 1.8 + 0.32 * len(rows)), layout="constrained")
    picture = axes.imshow(share.numpy(), cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.set_xlabel("English (teacher)")
    axes.set_ylabel("translation (student)")
    axes.set_title(title or "Transport plan", fontsize=10)
    figure.colorbar(picture, ax=axes, label="share of the student token's mass")
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
    return file


def _read(model: BaseModel, text: str) -> TokenView:
    late = is_late_interaction(model)
    prompt = query_prompt(model)
    features = model.preprocess([text], prompt=prompt, **({"task": "query"} if late else {}))
    features = with_text_start(features, model.tokenizer, prompt)
    features = {key: value.to(model.device) if isinstance(value, Tensor) else value for key, value in features.items()}
    return encode_tokens(model, features, boundary_token_ids(model), late_interaction=late)
