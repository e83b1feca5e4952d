"""Folders within folders, deeper than any path may be long."""

import os

for _ in range(900):
    os.mkdir("d" * 50)
    os.chdir("d" * 50)
with open("bottom", "w") as file:
    file.write("here")
