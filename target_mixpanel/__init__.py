"""Load Mixpanel from any Singer tap."""
