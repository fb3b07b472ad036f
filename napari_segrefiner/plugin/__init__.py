"""All that knows napari or Qt."""
