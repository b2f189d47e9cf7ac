"""What the outside sees of the line."""
