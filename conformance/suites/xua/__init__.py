"""XUA: on whose behalf somebody asks, and who says so."""
