"""A submission as a thing: its files, dates, names and weights, beside its source.

`read_material` opens it, `signs` says what it tells by itself, `between` what two have in common;
`compare` does so for a class and adds the evidence to that of the source.
"""
