"""Training a network on images with good labels."""
