"""Commands of ``hf-optical``, one module each, and the embedded sample."""
