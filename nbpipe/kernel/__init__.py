"""The notebook's face: magics, the live session, displays and widgets, and what a step does in its kernel."""
