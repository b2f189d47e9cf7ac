"""Speed beside the physical limits, all in one run."""
