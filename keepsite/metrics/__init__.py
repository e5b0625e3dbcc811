"""Metrics as Prometheus reads them: what is counted, where it is kept, who may ask.

``keepsite.metrics.registry`` holds the registry that every metric registers with;
each subject has a module of its own beside it.
"""
