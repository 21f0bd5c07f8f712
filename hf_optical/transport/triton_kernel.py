"""Triton kernel of the transport term, from token vectors to the gradient, in the on-chip memory of a multiprocessor.

Each program computes one pair. Cost, kernel and scalings stay in registers during all iterations. Tokens are read from
device memory once (for the gradient they are read again, from the cache), and results are written once.
`hf_optical.transport.fused` calls the kernel; its results must agree with those of the PyTorch solvers.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Arguments of kernels are pointers and numbers, without annotations; compile-time conditions have an `if` of their own.
# ruff: noqa: ANN001, ANN201, ANN202, SIM102, D417


@triton.jit
def _products(
    student, teacher, read_a, read_b, n_stride, m_stride,
    width: tl.constexpr, block_d: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Compute the inner products of all tokens, (n, m), and the inverse length of each token."""
    block_n: tl.constexpr = read_a.shape[0]
    block_m: tl.constexpr = read_b.shape[0]
    rows, columns, offsets = tl.arange(0, block_n), tl.arange(0, block_m), tl.arange(0, block_d)
    inner = tl.zeros((block_n, block_m), tl.float32)
    square_s, square_t = tl.zeros((block_n,), tl.float32), tl.zeros((block_m,), tl.float32)
    for start in range(0, width, block_d):
        inside = (start + offsets < width)[None, :]
        s = tl.load(student + rows[:, None] * n_stride + (start + offsets)[None, :], read_a[:, None] & inside, 0.0)
        t = tl.load(teacher + columns[:, None] * m_stride + (start + offsets)[None, :], read_b[:, None] & inside, 0.0)
        wide_s, wide_t = s.to(tl.float32), t.to(tl.float32)
        square_s += tl.sum(wide_s * wide_s, 1)
        square_t += tl.sum(wide_t * wide_t, 1)
        if s.dtype == t.dtype:
            inner = tl.dot(s, tl.trans(t), inner, input_precision=precision)
        else:
            inner = tl.dot(wide_s, tl.trans(wide_t), inner, input_precision=precision)
    # A zero vector has cost 1 to every vector and gets no gradient.
    scale_s = tl.where(square_s > 1e-38, tl.math.rsqrt(tl.where(square_s > 1e-38, square_s, 1.0)), 0.0)
    scale_t = tl.where(square_t > 1e-38, tl.math.rsqrt(tl.where(square_t > 1e-38, square_t, 1.0)), 0.0)
    return inner, scale_s, scale_t


@triton.jit
def _step(scaling, mass, reached, plain, relaxation, relaxes: tl.constexpr):
    """Return the scaling that meets its marginal, or one beyond it (``relaxation`` of the solvers)."""
    met = mass / reached
    if relaxes:
        further = scaling * tl.exp(relaxation * tl.log(mass / (reached * scaling)))
        met = tl.where(plain, met, further)
    return met


@triton.jit
def _sinkhorn(
    decay, mass_a, mass_b, pad_a, pad_b, tolerance, relaxation, iterations: tl.constexpr,
    relaxes: tl.constexpr, unrelaxed: tl.constexpr, stops: tl.constexpr, every: tl.constexpr,
):  # fmt: skip
    """Run `hf_optical.transport.Sinkhorn` on the kernel ``decay``, and return the two scalings."""
    row, column = mass_a * 0.0 + 1.0, mass_b * 0.0 + 1.0
    if stops:
        done = 0
        going = 1
        while (done < iterations) & (going > 0):
            reached = tl.sum(decay * column[None, :], 1) + pad_a
            if (done > 0) & (done % every == 0):
                if tl.sum(tl.abs(row * reached - mass_a), 0) <= tolerance:
                    going = 0
            if going > 0:
                row = _step(row, mass_a, reached, done < unrelaxed, relaxation, relaxes)
                last = (done < unrelaxed) | ((done + 1) % every == 0) | (done + 1 == iterations)
                reached_b = tl.sum(decay * row[:, None], 0) + pad_b
                column = _step(column, mass_b, reached_b, last, relaxation, relaxes)
            done += 1
    else:
        for done in range(0, iterations):
            reached = tl.sum(decay * column[None, :], 1) + pad_a
            row = _step(row, mass_a, reached, done < unrelaxed, relaxation, relaxes)
            last = (done < unrelaxed) | ((done + 1) % every == 0) | (done + 1 == iterations)
            reached_b = tl.sum(decay * row[:, None], 0) + pad_b
            column = _step(column, mass_b, reached_b, last, relaxation, relaxes)
    return row, column


@triton.jit
def _excess(decay, kernel, row, column, growth, mass_a, mass_b, pad_a, pad_b, softness):
    """Return the plan's excess over a lower bound of all plans' costs (`duality.lower_bound`), and the bound."""
    cost = -softness * tl.log(tl.where(decay > 0, decay, 1.0))
    far = tl.where(decay > 0, cost, 1e30)
    f = tl.where(pad_a > 0, 0.0, softness * tl.log(growth))
    g = tl.where(pad_b > 0, 0.0, tl.min(far - f[:, None], 0))
    f = tl.where(pad_a > 0, 0.0, tl.min(far - g[None, :], 1))
    bound = tl.sum(f * (mass_a - pad_a), 0) + tl.sum(g * (mass_b - pad_b), 0)
    total = tl.sum(tl.sum(kernel * cost * column[None, :], 1) * row, 0)
    return total - bound, bound


@triton.jit
def _ipot(
    decay, mass_a, mass_b, pad_a, pad_b, softness, tolerance, gap, relaxation,
    iterations: tl.constexpr, relaxes: tl.constexpr, inner: tl.constexpr, period: tl.constexpr, stops: tl.constexpr,
    every: tl.constexpr, negligible: tl.constexpr,
):  # fmt: skip
    """Run `hf_optical.transport.IPOT` with ``exp(-C / beta)``, and return kernel and scalings of the last iteration."""
    kernel = tl.where(decay > 0, 1.0, 0.0)
    row, column = mass_a * 0.0 + 1.0, mass_b * 0.0 + 1.0
    before, warm, folded = row, column, column
    done = 0
    going = 1
    while (done < iterations) & (going > 0):
        done += 1
        kernel = kernel * decay
        never, exact = done < 0, done == iterations
        if stops:
            exact = exact | (done % every == 0)
        # The first sweep is not lengthened, because it starts from an extrapolation.
        row = mass_a / (tl.sum(kernel * warm[None, :], 1) + pad_a)
        column = mass_b / (tl.sum(kernel * row[:, None], 0) + pad_b)
        for sweep in tl.static_range(1, inner):
            reached = tl.sum(kernel * column[None, :], 1) + pad_a
            row = _step(row, mass_a, reached, never, relaxation, relaxes)
            reached_b = tl.sum(kernel * row[:, None], 0) + pad_b
            plain = never
            if sweep == inner - 1:
                plain = exact
            column = _step(column, mass_b, reached_b, plain, relaxation, relaxes)
        if stops:
            if done % every == 0:
                reached = tl.sum(kernel * column[None, :], 1) + pad_a
                missed = tl.sum(tl.abs(row * reached - mass_a), 0)
                if missed <= tolerance:
                    over, bound = _excess(
                        decay, kernel, row, column, row / before, mass_a, mass_b, pad_a, pad_b, softness
                    )
                    if over <= gap * bound:
                        going = 0
        step = column / folded
        if (done % period == 0) & (done < iterations) & (going > 0):
            kernel = kernel * row[:, None] * column[None, :]
            # Entries that tend to zero are set to zero at the same threshold as in the PyTorch form.
            kernel = tl.where(kernel <= negligible, 0.0, kernel)
            warm = step
            folded = mass_b * 0.0 + 1.0
            before = mass_a * 0.0 + 1.0
        else:
            warm = column * step
            folded = column
            before = row
    return kernel, row, column


# Without this option, a side of one token would become a constant, for which Triton 3.5 cannot compile the kernel.
@triton.jit(do_not_specialize=["n", "m"])
def transport_kernel(
    student_ptr, teacher_ptr, a_ptr, b_ptr, places_ptr, share_ptr, loss_ptr, gradient_ptr, plan_ptr, relay_ptr,
    n, m, student_batch, student_row, teacher_batch, teacher_row, relay_batch, softness, tolerance, gap, relaxation,
    width: tl.constexpr, iterations: tl.constexpr,
    proximal: tl.constexpr, relaxes: tl.constexpr, unrelaxed: tl.constexpr, inner: tl.constexpr,
    period: tl.constexpr, stops: tl.constexpr, every: tl.constexpr,
    negligible: tl.constexpr, matches: tl.constexpr, relays: tl.constexpr, writes_gradient: tl.constexpr,
            writes_plan: tl.constexpr,
    precision: tl.constexpr, gradient_precision: tl.constexpr,
    block_n: tl.constexpr, block_m: tl.constexpr, block_d: tl.constexpr,
):  # fmt: skip
    """Compute the loss of one pair, and its gradient with respect to the student's tokens.

    Args:
        student_ptr: Student tokens, ``(B, n, width)``, the last dimension contiguous; likewise ``teacher_ptr``,
            ``(B, m, width)``.
        a_ptr: Marginals, ``(B, n)``, float32; likewise ``b_ptr``, ``(B, m)``. Tokens without mass are not read.
        places_ptr: Places, ``(B, 4)``, int64, and ``share_ptr``, ``(B,)``, of `SpecialTokenMatch`; the share is 0 for a
            pair without ends. They are not read unless ``matches``.
        loss_ptr: Output ``(B,)``, float32; likewise ``gradient_ptr``, ``(B, n, width)``, and ``plan_ptr``, ``(B, n,
            m)``.
        relay_batch: Offset between the relays of two pairs, at least ``block_n`` times ``block_m`` numbers. The relay
            may be the memory of the gradient, because only the program of a pair writes there, after it has read the
            relay.
        softness: ``epsilon`` of Sinkhorn, or ``beta`` of IPOT.
        proximal: Whether to run IPOT instead of Sinkhorn.
        block_n: Power of two of at least ``n``; likewise ``block_m``. ``block_d`` dimensions are read at a time.
    """
    pair = tl.program_id(0).to(tl.int64)
    rows, columns = tl.arange(0, block_n), tl.arange(0, block_m)
    a = tl.load(a_ptr + pair * n + rows, rows < n, 0.0)
    b = tl.load(b_ptr + pair * m + columns, columns < m, 0.0)
    read_a, read_b = a > 0, b > 0
    share = 0.0
    if matches:
        share = tl.load(share_ptr + pair)
        there = share > 0
        first_s = tl.where(there, tl.load(places_ptr + pair * 4), -1)
        first_t = tl.where(there, tl.load(places_ptr + pair * 4 + 1), -1)
        last_s = tl.where(there, tl.load(places_ptr + pair * 4 + 2), -1)
        last_t = tl.where(there, tl.load(places_ptr + pair * 4 + 3), -1)
        read_a = read_a | (rows == first_s) | (rows == last_s)
        read_b = read_b | (columns == first_t) | (columns == last_t)
    student, teacher = student_ptr + pair * student_batch, teacher_ptr + pair * teacher_batch
    inner_products, scale_s, scale_t = _products(
        student, teacher, read_a, read_b, student_row, teacher_row, width, block_d, precision
    )
    cost = 1.0 - inner_products * scale_s[:, None] * scale_t[None, :]
    cost = tl.minimum(tl.maximum(cost, 0.0), 2.0)

    real = (a > 0)[:, None] & (b > 0)[None, :]
    decay = tl.where(real, tl.exp(cost / -softness), 0.0)  # above zero if and only if both tokens have mass
    first_cost = 0.0
    last_cost = 0.0
    if matches:  # ends are not part of the transport problem, and their costs are needed after the cost is discarded
        at_first = (rows == first_s)[:, None] & (columns == first_t)[None, :]
        at_last = (rows == last_s)[:, None] & (columns == last_t)[None, :]
        first_cost = tl.sum(tl.sum(tl.where(at_first, cost, 0.0), 1), 0)
        last_cost = tl.sum(tl.sum(tl.where(at_last, cost, 0.0), 1), 0)

    if relays:
        # After a matrix product a thread holds few rows and many columns, so that sums over rows need many exchanges
        # between threads. Values read from memory are distributed more evenly; the round trip stays in the cache.
        place = relay_ptr + pair * relay_batch + rows[:, None] * block_m + columns[None, :]
        tl.store(place, decay)
        tl.debug_barrier()
        decay = tl.load(place)

    # Padding has numerator 1 and denominator 0 + 1: its scaling stays 1, its kernel is zero, and no mask is needed.
    pad_a, pad_b = tl.where(a > 0, 0.0, 1.0), tl.where(b > 0, 0.0, 1.0)
    mass_a, mass_b = a + pad_a, b + pad_b
    if proximal:
        kernel, row, column = _ipot(
            decay, mass_a, mass_b, pad_a, pad_b, softness, tolerance, gap, relaxation,
            iterations, relaxes, inner, period, stops, every, negligible,
        )  # fmt: skip
        plan = kernel * row[:, None] * column[None, :]
    else:
        row, column = _sinkhorn(
            decay, mass_a, mass_b, pad_a, pad_b, tolerance, relaxation, iterations, relaxes, unrelaxed, stops, every
        )
        plan = decay * row[:, None] * column[None, :]

    # The cost is computed again from the decay: keeping both during the iterations would take half the registers.
    cost = -softness * tl.log(tl.where(decay > 0, decay, 1.0))
    loss = (1.0 - share) * tl.sum(tl.sum(plan * cost, 1), 0)
    tl.store(loss_ptr + pair, loss + share * 0.5 * (first_cost + last_cost))
    if writes_plan:
        # This mask has a name of its own, because within a function Triton allows only one shape per name.
        of_the_pair = (rows < n)[:, None] & (columns < m)[None, :]
        tl.store(plan_ptr + pair * n * m + rows[:, None] * m + columns[None, :], plan, of_the_pair)
    if writes_gradient:
        weights = (1.0 - share) * plan
        along = tl.sum(weights * (1.0 - cost), 1)  # s_i . sum_j W_ij t_j, computed without the vectors
        if matches:
            half = 0.5 * share
            weights += tl.where((rows == first_s)[:, None] & (columns == first_t)[None, :], half, 0.0)
            weights += tl.where((rows == last_s)[:, None] & (columns == last_t)[None, :], half, 0.0)
            along += tl.where(rows == first_s, half * (1.0 - first_cost), 0.0)
            along += tl.where(rows == last_s, half * (1.0 - last_cost), 0.0)
        else:
            # This adds nothing to any token of the pair; without a sum as for the ends Triton 3.5 does not compile.
            weights += tl.where((rows == n)[:, None] & (columns == m)[None, :], 1.0, 0.0)
        weights = weights * scale_t[None, :]
        offsets = tl.arange(0, block_d)
        for start in range(0, width, block_d):
            inside = (start + offsets < width)[None, :]
            t = tl.load(
                teacher + columns[:, None] * teacher_row + (start + offsets)[None, :], read_b[:, None] & inside, 0.0
            )
            s = tl.load(
                student + rows[:, None] * student_row + (start + offsets)[None, :], read_a[:, None] & inside, 0.0
            )
            pulled = tl.dot(weights, t.to(tl.float32), input_precision=gradient_precision)
            turn = (s.to(tl.float32) * (scale_s * along)[:, None] - pulled) * scale_s[:, None]
            tl.store(
                gradient_ptr + pair * n * width + rows[:, None] * width + (start + offsets)[None, :],
                turn,
                (rows < n)[:, None] & inside,
            )
