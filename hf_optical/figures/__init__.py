"""Pictures: transport plans, language pairs."""
