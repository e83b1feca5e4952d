"""Networks, written from scratch."""
