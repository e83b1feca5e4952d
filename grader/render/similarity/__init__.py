"""What a comparison of a class found: pages, tables and documents, pure functions of the result.

Words accuse nobody: pages say what is similar, what a number means and how often pairs who worked
apart reach it.
"""
