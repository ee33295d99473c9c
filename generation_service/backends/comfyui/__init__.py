"""Real media from ComfyUI workers."""
