"""Lightning callbacks; with ``experiments`` the only part of the package that imports torch and lightning."""
