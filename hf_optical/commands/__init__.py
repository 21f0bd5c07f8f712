"""What ``hf-optical COMMAND`` runs: one module a command, and the embedded default."""
