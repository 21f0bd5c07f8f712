"""The fused kernel: run by Triton's interpreter where Triton is installed, and when it is chosen."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.losses.alignment import transport_loss, transport_term
from hf_optical.transport import IPOT, Sinkhorn, fused_fits, kernel_launch, uniform_marginals
from hf_optical.transport.fused import SWITCH, fused_transport
from hf_optical.transport.kernel_launch import launch_for

NO_TRITON = importlib.util.find_spec("triton") is None


@pytest.mark.skipif(NO_TRITON, reason="needs Triton: pip install triton")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "script",
    [
        pytest.param("fused_on_cpu.py", id="the kernel is the PyTorch form under the interpreter"),
        pytest.param("fused_compiled.py", id="it fits into the memory that is counted on"),
        pytest.param("host_overhead.py", id="its calls cost the host little"),
        pytest.param("compile_matrix.py", id="it compiles for everything that can be asked of it"),
    ],
)
def test_without_a_device(script):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_INTERPRET": "1"} if script == "fused_on_cpu.py" else {}
    command = [sys.executable, str(Path(__file__).with_name(script))]
    done = subprocess.run(command, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all good" in done.stdout


@pytest.mark.parametrize(
    ("room", "tf32", "tokens", "stages"),
    [
        (64, False, (64, 128), 3),
        (64, False, (128, 128), None),
        (99, True, (64, 128), 3),
        (90, True, (64, 128), 2),
        (82, True, (64, 128), 1),
        (80, True, (64, 128), None),
        (99, True, (128, 128), None),
        (227, True, (128, 128), 3),
    ],
)
def test_a_launch_takes_the_stages_that_the_device_has_room_for(monkeypatch, room, tf32, tokens, stages):
    monkeypatch.setattr(kernel_launch, "_memory_on_chip", lambda index: room * 1024)
    monkeypatch.setattr(kernel_launch, "_has_tf32", lambda index: tf32)
    device = SimpleNamespace(index=0)
    sides = [SimpleNamespace(shape=(1, n, 384), dtype=torch.float32, is_cuda=True, device=device) for n in tokens]
    found = kernel_launch.fitted(*sides, proximal=True)
    assert (found and found.stages) == stages


def test_a_device_without_bfloat16_leaves_it_to_the_pytorch_form(monkeypatch):
    monkeypatch.setattr(kernel_launch, "_memory_on_chip", lambda index: 64 * 1024)
    monkeypatch.setattr(kernel_launch, "_has_tf32", lambda index: False)
    device = SimpleNamespace(index=0)
    sides = [SimpleNamespace(shape=(1, 16, 384), dtype=d, is_cuda=True, device=device) for d in (torch.float16,) * 2]
    assert kernel_launch.fitted(*sides, proximal=True) is not None
    sides[1].dtype = torch.bfloat16
    assert kernel_launch.fitted(*sides, proximal=True) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("solver", [Sinkhorn(), IPOT()], ids=repr)
def test_the_kernel_is_the_pytorch_form_on_a_device(solver, dtype):
    student, teacher = (torch.randn(5, k, 96, device="cuda").to(dtype) + 0.5 for k in (50, 33))
    masks = [torch.arange(k, device="cuda") < torch.randint(2, k + 1, (5, 1), device="cuda") for k in (50, 33)]
    special = [torch.zeros_like(mask) for mask in masks]
    student = student.masked_fill(~masks[0].unsqueeze(2), torch.nan)
    mine, wide = student.clone().requires_grad_(), student.double().requires_grad_()
    found = transport_term((mine, masks[0], special[0]), (teacher, masks[1], special[1]), solver)
    wanted, _ = transport_loss((wide, masks[0], special[0]), (teacher.double(), masks[1], special[1]), solver)
    for loss in (found, wanted):
        loss.sum().backward()
    assert type(found.grad_fn).__name__ == "_FusedBackward"
    assert (mine.grad - wide.grad).norm() < (1e-3 if dtype != torch.bfloat16 else 5e-3) * wide.grad.norm()


def test_the_loss_asks_once_whether_the_kernel_fits(monkeypatch):
    from hf_optical.losses import alignment
    from hf_optical.transport import fused

    asked = []
    for module in (alignment, fused):
        monkeypatch.setattr(module, "fused_fits", lambda *_: asked.append(1) or True)
    monkeypatch.setattr(fused._Fused, "apply", lambda student, *_: student.sum(dim=(1, 2)))
    sides = [(torch.randn(2, k, 8), torch.ones(2, k).bool(), torch.zeros(2, k).bool()) for k in (4, 5)]
    assert transport_term(*sides, IPOT()).shape == (2,) and len(asked) == 1


def test_without_a_device_the_pytorch_form_is_taken():
    student, teacher = torch.randn(2, 4, 8).requires_grad_(), torch.randn(2, 5, 8)
    masks = [torch.ones(2, k).bool() for k in (4, 5)]
    sides = (student, masks[0], ~masks[0]), (teacher, masks[1], ~masks[1])
    assert not fused_fits(student, teacher, IPOT())
    assert torch.equal(transport_term(*sides, IPOT()), transport_loss(*sides, IPOT())[0])
    with pytest.raises(InputError, match=r"does not support IPOT.*on cpu"):
        fused_transport(student, teacher, uniform_marginals(masks[0]), uniform_marginals(masks[1]), IPOT())


def test_marginals_of_another_shape_are_refused():
    with pytest.raises(InputError, match="one mass per token"):
        fused_transport(torch.ones(1, 2, 3), torch.ones(1, 4, 3), torch.ones(1, 3), torch.ones(1, 4), IPOT())


def test_the_switch_is_heard_before_anything_else(monkeypatch):
    class Device:  # no tensor at all: whoever asks it something fails
        pass

    monkeypatch.setenv(SWITCH, "0")
    assert not fused_fits(Device(), Device(), IPOT())
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(AttributeError):
        fused_fits(Device(), Device(), IPOT())


@pytest.mark.parametrize("n", [1, 15, 16, 17, 64, 65, 128])
@pytest.mark.parametrize("m", [1, 33, 128])
@pytest.mark.parametrize("proximal", [False, True])
def test_blocks_hold_all_tokens_and_registers_hold_the_blocks(n, m, proximal):
    launch = launch_for(n, m, proximal=proximal)
    assert launch.block_n >= max(16, n)
    assert launch.block_m >= max(16, m)
    assert launch.block_n & (launch.block_n - 1) == 0
    kept = launch.block_n * launch.block_m * (2 if proximal else 1)
    assert kept / (32 * launch.warps) <= 64  # of at most 255 registers a thread
