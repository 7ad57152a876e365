"""Hydra groups for any app that has stabilimeter installed: ``+stability=default``, ``hydra/callbacks=stability``."""
