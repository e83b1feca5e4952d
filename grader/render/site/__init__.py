"""Pages of a class: the overview for the course's staff, and a page for each student."""
