"""Load Mixpanel from any Singer tap."""

__version__ = "0.1.0"
