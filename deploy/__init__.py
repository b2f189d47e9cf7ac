"""What Vigía is deployed by: configuration, and what writes some of it."""
