"""Does what real taps send arrive in Mixpanel, value by value? `make taps` says it."""
