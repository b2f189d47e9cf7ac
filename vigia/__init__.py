"""The front door: the command `vigia`."""
