"""Task and reply as both sides see them, and how Flower carries them."""
