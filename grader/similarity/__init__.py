"""Similar to whom: source, checkpoints, masks and predictions of a class → pairs with evidence.

Words accuse nobody: a pair is similar, a number says what it means, a person decides.
"""
