"""Where prompts come from: here the strokes of a simulated user."""
