"""What Cloud Functions looks for in a source folder: the function `load_object`."""

from target_mixpanel.platforms.google_function import load_object

__all__ = ["load_object"]
