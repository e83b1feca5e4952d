"""Classes of submissions with planted copies, made from seeds: for the similarity benchmark."""
