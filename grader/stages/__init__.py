"""What happens to a submission, one stage a module; each takes the type that the last returned."""
