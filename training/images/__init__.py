"""From labelled surface images to an image model package, with what serves it (stream.core)."""
