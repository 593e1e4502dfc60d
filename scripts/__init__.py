"""Small tools of this repository; not part of what is installed."""
