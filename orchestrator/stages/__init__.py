"""The four stages. They know when something is checked, translated and rendered; nothing else."""
