"""From heatmaps to masks."""
