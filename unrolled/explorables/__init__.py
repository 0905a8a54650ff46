"""Things to touch: networks and cells in the reader's hands, in any notebook reader."""
