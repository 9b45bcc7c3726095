"""From a project's recipes to its shots."""
