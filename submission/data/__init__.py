"""From folders of image files to batches of tensors."""
