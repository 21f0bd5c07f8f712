"""Memory of a training by part, and its changes with the options."""

from __future__ import annotations

from dataclasses import dataclass, replace

# Autocast keeps some tensors of the backward pass in float32 (norms, softmax, loss) and the others in 2 bytes.
_HALF_ACTIVATIONS = 0.65
# Tensors that exist only within an operator, and memory lost to fragmentation.
_SLACK = 1.1


@dataclass(frozen=True)
class Training:
    """Numbers of a training that determine its memory.

    Attributes:
        batch: Pairs per forward pass.
        accumulation: Forward passes per step.
        tokens: Length of the longest text in training, in tokens.
        weights: Number of the student's weights.
        table: Number of weights in the embedding table.
        trained: Number of trained weights.
        teacher: Number of the teacher's weights, which stay in memory even if its vectors are cached.
        activations: Bytes kept for the backward pass of the longest batch, in float32.
        half: Whether training runs in float16 or bfloat16.
        rest: Bytes of everything else: libraries, data, document vectors.
        adapter: Weights of a LoRA adapter of this student, trained in place of the others.
        layers: Layers of the student.
        used: Number of weights in the table rows that occur in the training texts.
    """

    batch: int
    accumulation: int
    tokens: int
    weights: int
    table: int
    trained: int
    teacher: int
    activations: float
    half: bool = False
    rest: float = 0.0
    adapter: int = 0
    layers: int = 1
    used: int = 0

    def parts(self) -> dict[str, float]:
        """Return bytes by part.

        Example:
            >>> parts = Training(32, 1, 64, 100, 40, 100, 50, 1000.0).parts()
            >>> parts["gradients and optimizer"], parts["teacher"]
            (1200.0, 200.0)
        """
        body = self.weights - self.table
        return {
            "libraries and data": self.rest,
            # autocast keeps copies of the weights in 2 bytes
            "student": 4.0 * self.weights + (2.0 * body if self.half else 0.0),
            "gradients and optimizer": 12.0 * self.trained,  # gradient and Adam's two moments, 4 bytes each
            "teacher": (6.0 if self.half else 4.0) * self.teacher,
            "activations of the longest batch": self.activations * (_HALF_ACTIVATIONS if self.half else 1.0) * _SLACK,
        }

    def total(self) -> float:
        """Return the total bytes."""
        return sum(self.parts().values())

    def with_batch(self, batch: int) -> Training:
        """Return the estimate for a smaller batch with the same number of pairs per step."""
        accumulation = max(1, round(self.batch * self.accumulation / batch))
        return replace(self, batch=batch, accumulation=accumulation, activations=self.activations * batch / self.batch)

    def with_tokens(self, tokens: int) -> Training:
        """Return the estimate for texts truncated to fewer tokens."""
        return replace(self, tokens=tokens, activations=self.activations * tokens / self.tokens)

    def with_half(self) -> Training:
        """Return the estimate for half precision."""
        return replace(self, half=True)

    def with_adapter(self) -> Training:
        """Return the estimate for a LoRA adapter, without gradients of the student's own weights."""
        return replace(self, trained=self.adapter, weights=self.weights + self.adapter)

    def with_used_rows(self) -> Training:
        """Return the estimate where only the embedding rows that occur are trained."""
        return replace(self, trained=self.trained - min(self.trained, self.table - self.used))

    def with_frozen_table(self) -> Training:
        """Return the estimate for a frozen embedding table."""
        return replace(self, trained=self.trained - min(self.table, self.trained))

    def with_layers(self, layers: int) -> Training:
        """Return the estimate for a grown student with fewer layers."""
        share = layers / self.layers
        lost = round((self.weights - self.table) * (1 - share))
        trained = self.trained - lost if self.trained >= self.weights else round(self.trained * share)
        return replace(
            self,
            weights=self.weights - lost,
            trained=max(0, trained),
            activations=self.activations * share,
            layers=layers,
        )
