"""Worlds with a known truth, for tests; what they draw from shares nothing with the product."""
