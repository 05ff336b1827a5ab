"""The project that is served with one middleware after another, to see what each adds to a request."""
