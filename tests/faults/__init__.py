"""Every fault that a site box meets, on a real line: what was done, what held."""
