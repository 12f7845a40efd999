"""What pictures, pages and tables share: colours that stay apart, an empty figure, numbers in words, small tables."""
