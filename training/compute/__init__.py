"""How steps are computed: device and precision, counter-based randomness, several processes; and how far long loops are.

Knows no network and no data.
May import: training.recipes, training.errors.
"""
