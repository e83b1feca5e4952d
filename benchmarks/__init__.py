"""Every promised speed as a ratio, measured side by side in one run: `make bench`."""
