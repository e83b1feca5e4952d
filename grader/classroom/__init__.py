"""A folder of zips → a resumable run → marks for the whole class."""
