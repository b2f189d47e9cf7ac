"""The front door's own commands, one a module."""
