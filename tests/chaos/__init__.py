"""Workers killed under load, against an uninterrupted run."""
