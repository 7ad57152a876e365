"""Small experiments on real data that needs no download; what the recipes train unless told otherwise."""
