"""The options of each command, apart from what runs it: ``--help`` and completion need no host library."""
