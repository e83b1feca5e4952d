"""Assignment definitions: a folder of data each, loaded and validated."""
