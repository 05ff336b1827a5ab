"""What Gatebook promises."""
