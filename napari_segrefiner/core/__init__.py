"""The method at work: from an image and coarse labels to refined labels."""
