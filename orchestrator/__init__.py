"""The orchestrator: runs ideas through the four stages, and alone knows which checks apply when."""
