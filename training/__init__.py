"""From history to a model package, with the features that serve it (stream.core)."""
