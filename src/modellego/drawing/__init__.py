"""What pictures and pages share: colours that stay apart, and an empty figure to draw into."""
