"""How well what lies is found: faults planted by seed in real data, counted over parts of it that
no parameter was chosen on."""
