"""What the hospital says of its images."""
