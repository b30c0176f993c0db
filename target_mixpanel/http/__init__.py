"""One exchange with one of Mixpanel's hosts."""
