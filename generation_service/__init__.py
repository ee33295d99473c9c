"""Everything that makes something: text by language models, media by renderers."""
