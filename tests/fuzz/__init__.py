"""Every decoder of bytes from outside, given bytes that nobody would send."""
