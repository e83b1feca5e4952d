"""Source: normalised, fingerprinted, indexed; pairs scored with aligned regions as evidence."""
